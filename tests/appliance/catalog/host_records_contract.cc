// What every HostRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

using base::ErrorCode;

const TenantScope kAll = TenantScope::all();

Token make_token(TokenKind kind, std::optional<uint64_t> expires_ms) {
  return {TokenId::random(), kind, TenantName(kDefaultTenant), "a note", 1, expires_ms, {}};
}

}  // namespace

TEST_CASE("records of hosts keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  HostRecords* records = &fresh->get();

  SECTION("a host is found by name, id, prefix and each certificate that it was ever given") {
    Host host = enrolled(fresh->get(), "alpha"), other = enrolled(fresh->get(), "beta");
    records->add_certificate(host.id, "5e71a1", 500);
    records->touch_host(host.id, "1.2", 600);
    records->touch_host(host.id, "", 700);
    fresh->reopen();
    records = &fresh->get();
    for (const std::string& serial : {host.certificate_serial, std::string("5e71a1")})
      CHECK(records->find_host_by_certificate(serial)->id == host.id);
    CHECK(records->find_host_by_certificate(other.certificate_serial)->id == other.id);
    CHECK_FALSE(records->find_host_by_certificate("beef"));
    Host known = *records->find_host(host.id);
    CHECK(known.certificate_serial == "5e71a1");
    CHECK(known.certified_ms == 500);
    CHECK(known.version == "1.2");
    CHECK(known.last_seen_ms == 700);
    CHECK(known.enrolled_ms == 10);
    CHECK(records->hosts(kAll).size() == 2);
    CHECK(records->host("alpha", kAll).id == host.id);
    CHECK(records->host(host.id.hex(), kAll).id == host.id);
    CHECK(records->host(host.id.hex().substr(0, 12), kAll).id == host.id);
    CHECK(code_of([&] { records->host("gamma", kAll); }) == ErrorCode::not_found);
    CHECK(code_of([&] { records->host("alpha", TenantScope()); }) == ErrorCode::not_found);
    CHECK_FALSE(records->find_host(HostId::random()));
  }
  SECTION("a host that is revoked is known until it is forgotten, and its name is free") {
    Host first = enrolled(fresh->get(), "alpha");
    CHECK(code_of([&] { records->forget_host(first.id); }) == ErrorCode::busy);
    records->save_report({first.id, 1, "{}"});
    records->revoke_host(first.id);
    CHECK(records->find_host_by_certificate(first.certificate_serial)->revoked);
    Host second = enrolled(fresh->get(), "alpha");
    CHECK(records->host("alpha", kAll).id == second.id);
    images::PointSummary point = make_point("web", 1);
    fresh->get().add_point(kDefaultTenant, point);
    fresh->get().assign_machine(kDefaultTenant, "web", first.id);
    records->forget_host(first.id);
    CHECK_FALSE(records->find_host(first.id));
    CHECK_FALSE(records->find_host_by_certificate(first.certificate_serial));
    CHECK_FALSE(records->find_report(first.id));
    CHECK_FALSE(fresh->get().machine(kDefaultTenant, "web").host);
    CHECK(code_of([&] { records->forget_host(first.id); }) == ErrorCode::not_found);
  }
  SECTION("the appliance's own host of a tenant takes the place of the one before") {
    Host first = make_host(std::string(kInternalHostName)),
         second = make_host(std::string(kInternalHostName));
    records->replace_internal_host(first, 5);
    records->replace_internal_host(second, 6);
    CHECK(records->find_host(first.id)->revoked);
    CHECK_FALSE(records->find_host(second.id)->revoked);
    CHECK(records->find_host_by_certificate(second.certificate_serial)->id == second.id);
  }
  SECTION("of a host's reports the last one is known") {
    Host host = enrolled(fresh->get(), "alpha");
    CHECK_FALSE(records->find_report(host.id));
    records->save_report({host.id, 1, "{}"});
    records->save_report({host.id, 2, R"({"machines": []})"});
    CHECK(records->find_report(host.id)->time_ms == 2);
    CHECK(records->find_report(host.id)->body == R"({"machines": []})");
  }
  SECTION("an enrolment token is good once and until it expires") {
    base::Sha256 hash = base::sha256(base::as_bytes("secret"));
    records->add_token(make_token(TokenKind::enrolment, 1000), hash);
    CHECK(records->find_valid_token(TokenKind::enrolment, hash, 999));
    CHECK_FALSE(records->find_valid_token(TokenKind::enrolment, hash, 1000));
    CHECK_FALSE(records->find_valid_token(TokenKind::operator_, hash, 10));
    CHECK(code_of([&] { records->enroll_host(hash, make_host("late"), 1000); }) ==
          ErrorCode::unauthorized);
    records->enroll_host(hash, make_host("alpha"), 10);
    CHECK(code_of([&] { records->enroll_host(hash, make_host("beta"), 10); }) ==
          ErrorCode::unauthorized);
    CHECK(records->hosts(kAll).size() == 1);
    CHECK(records->tokens(kAll).front().used_ms == 10);
  }
  SECTION("a failed enrolment leaves the token unused") {
    Host first = enrolled(fresh->get(), "alpha");
    base::Sha256 hash = base::sha256(base::as_bytes("second"));
    records->add_token(make_token(TokenKind::enrolment, {}), hash);
    CHECK(code_of([&] { records->enroll_host(hash, make_host("alpha"), 10); }) ==
          ErrorCode::already_exists);
    CHECK(records->find_valid_token(TokenKind::enrolment, hash, 10));
    records->revoke_host(first.id);
    records->enroll_host(hash, make_host("alpha"), 10);
    CHECK(records->hosts(kAll).size() == 2);
    CHECK_FALSE(records->host("alpha", kAll).revoked);
  }
  SECTION("an operator's token is good until it is revoked") {
    base::Sha256 hash = base::sha256(base::as_bytes("operator"));
    Token token = make_token(TokenKind::operator_, {});
    token.tenant_only = true;
    records->add_token(token, hash);
    records->touch_token(token.id, 50);
    fresh->reopen();
    records = &fresh->get();
    auto found = records->find_valid_token(TokenKind::operator_, hash, 1ull << 50);
    REQUIRE(found);
    CHECK(found->id == token.id);
    CHECK(found->note == "a note");
    CHECK(found->tenant_only);
    CHECK(found->used_ms == 50);
    CHECK(code_of([&] { records->revoke_token(token.id.hex(), TenantScope()); }) ==
          ErrorCode::not_found);
    CHECK(code_of([&] { records->revoke_token(token.id.hex().substr(0, 3), kAll); }) ==
          ErrorCode::not_found);
    records->revoke_token(token.id.hex().substr(0, 6), kAll);
    CHECK(records->tokens(kAll).empty());
    CHECK_FALSE(records->find_valid_token(TokenKind::operator_, hash, 60));
  }
}

}  // namespace appliance::catalog
