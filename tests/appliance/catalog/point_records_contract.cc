// What every PointRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

using base::ErrorCode;

TEST_CASE("records of points keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  PointRecords* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);

  SECTION("they become exactly those of the store") {
    images::PointSummary a = make_point("a", 100), b = make_point("b", 50),
                         late = make_point("a", 200);
    records->set_points(tenant, {late, b, a});
    fresh->reopen();
    records = &fresh->get();
    auto rows = records->points(tenant, "");
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].summary.id == a.id);
    CHECK(rows[0].summary.dates == a.dates);
    CHECK(rows[0].summary.size == a.size);
    CHECK(rows[0].tenant == tenant);
    CHECK(rows[1].summary.id == late.id);
    CHECK(rows[2].summary.id == b.id);
    CHECK(records->find_owner(tenant, b.id)->machine_name == "b");
    CHECK(records->find_owner(tenant, b.id)->machine == b.machine);

    records->set_points(tenant, {b});
    CHECK(records->points(tenant, "a").empty());
    CHECK_FALSE(records->find_owner(tenant, a.id));
    records->remove_point(tenant, b.id);
    CHECK(records->points(tenant, "").empty());
    CHECK(code_of([&] { records->points("gone", ""); }) == ErrorCode::not_found);
  }
  SECTION("they say where they come from") {
    images::PointSummary first = make_point("web", 100), next = make_point("web", 200),
                         copy = make_point("web", 300);
    next.lineage.parent = first.id;
    copy.lineage = {next.id, images::PointOrigin{images::StoreId::random(), copy.id}};
    records->set_points(tenant, {first, next});
    records->add_point(tenant, copy);
    fresh->reopen();
    records = &fresh->get();
    auto rows = records->points(tenant, "web");
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].summary.lineage == images::PointLineage{});
    CHECK(rows[1].summary.lineage == next.lineage);
    CHECK(rows[2].summary.lineage == copy.lineage);
    // Without: what was said before is not kept.
    copy.lineage = {};
    records->add_point(tenant, copy);
    CHECK(records->points(tenant, "web")[2].summary.lineage == images::PointLineage{});
  }
  SECTION("one that is lost is missing until it comes back, is deleted, or is forgotten") {
    images::PointSummary kept = make_point("web", 100), lost = make_point("web", 200),
                         deleted = make_point("web", 300);
    records->set_points(tenant, {kept, lost, deleted});
    records->intend_removal(tenant, deleted.id);
    records->intend_removal(tenant, deleted.id);
    records->set_points(tenant, {kept});
    auto missing = records->missing_points(tenant);
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].id == lost.id);
    CHECK(missing[0].machine_name == "web");
    CHECK(missing[0].time_ms == 200);
    CHECK(missing[0].size == lost.size);
    records->set_points(tenant, {kept});
    CHECK(records->missing_points(tenant).size() == 1);
    SECTION("back") { records->set_points(tenant, {kept, lost}); }
    SECTION("forgotten") { records->set_points(tenant, {kept}, LostPoints::forget); }
    SECTION("deleted") { records->remove_point(tenant, lost.id); }
    CHECK(records->missing_points(tenant).empty());
  }
  SECTION("what a check found damaged is known until the next check, or the point is gone") {
    images::PointSummary whole = make_point("web", 100), hurt = make_point("web", 200),
                         gone = make_point("web", 300);
    images::PointId unlisted = images::PointId::random();
    for (const auto& point : {whole, hurt, gone}) records->add_point(tenant, point);
    CHECK_FALSE(records->last_store_check(tenant));
    records->save_store_check(tenant, {7, false, 3, "a pack cannot be read"},
                              {hurt.id, gone.id, unlisted, hurt.id});
    records->remove_point(tenant, gone.id);
    fresh->reopen();
    records = &fresh->get();
    using Damage = std::map<images::PointId, uint64_t>;
    CHECK(records->damaged_points(tenant) == Damage{{hurt.id, 7}, {unlisted, 7}});
    records->set_points(tenant, {whole, hurt});
    auto rows = records->points(tenant, "web");
    REQUIRE(rows.size() == 2);
    CHECK_FALSE(rows[0].damage_found_ms);
    CHECK(rows[1].damage_found_ms == 7);
    auto check = records->last_store_check(tenant);
    REQUIRE(check);
    CHECK(check->checked_ms == 7);
    CHECK(check->problem_count == 3);
    CHECK(check->first_problem == "a pack cannot be read");
    records->save_store_check(tenant, {8, true, 0, ""}, {});
    CHECK(records->last_store_check(tenant)->problem_count == 0);
    CHECK(records->last_store_check(tenant)->deep);
    CHECK(records->damaged_points(tenant).empty());
  }
  SECTION("a hold lasts until it ends, is released, or the point is gone") {
    images::PointSummary point = make_point("web", 100);
    CHECK(code_of([&] {
            records->hold_point(tenant, {point.id, "", 1, {}});
          }) == ErrorCode::not_found);
    records->add_point(tenant, point);
    records->hold_point(tenant, {point.id, "audit", 1, {}});
    records->hold_point(tenant, {point.id, "court", 2, 500});
    REQUIRE(records->holds(tenant, 499).size() == 1);
    CHECK(records->holds(tenant, 499).at(point.id).reason == "court");
    CHECK(records->holds(tenant, 499).at(point.id).placed_ms == 2);
    CHECK(records->holds(tenant, 500).empty());
    CHECK(records->release_point(tenant, point.id));
    CHECK_FALSE(records->release_point(tenant, point.id));
    records->hold_point(tenant, {point.id, "", 1, {}});
    records->remove_point(tenant, point.id);
    CHECK(records->holds(tenant, 0).empty());
  }
}

}  // namespace appliance::catalog
