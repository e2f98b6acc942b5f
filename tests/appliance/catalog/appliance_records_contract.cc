// What every ApplianceRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

TEST_CASE("records of the appliance itself keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  ApplianceRecords* records = &fresh->get();

  SECTION("a fact is known by its name, and the last one counts") {
    CHECK_FALSE(records->find_fact("authority"));
    records->save_fact("authority", "abc");
    records->save_fact("authority", "def");
    fresh->reopen();
    records = &fresh->get();
    CHECK(records->find_fact("authority") == "def");
    CHECK_FALSE(records->find_fact("other"));
  }
  SECTION("there is one mark of the clock") {
    CHECK_FALSE(records->find_clock_mark());
    records->save_clock_mark({"first boot", 1, 2, ""});
    records->save_clock_mark({"second boot", 3, 4, "third boot"});
    fresh->reopen();
    records = &fresh->get();
    auto mark = records->find_clock_mark();
    REQUIRE(mark);
    CHECK(mark->boot == "second boot");
    CHECK(mark->steady_ms == 3);
    CHECK(mark->wall_ms == 4);
    CHECK(mark->doubted_in == "third boot");
  }
}

}  // namespace appliance::catalog
