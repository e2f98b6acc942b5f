#include "appliance/rescue/rescue_codes.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "base/error.h"

namespace appliance::rescue {
namespace {

using base::ErrorCode;

const access::TenantName kTenant("acme"), kOther("other");
const access::Requester kRoot("root");

struct Codes {
  base::ManualClock clock;
  RescueCodes codes{clock};
  RescueCodes::Made make(uint64_t lifetime_ms = 60'000) {
    return codes.make({kTenant, {"web"}, lifetime_ms}, kRoot);
  }
  bool is_refused(const std::string& code) {
    try {
      codes.exchange(code);
      return false;
    } catch (const base::Error& error) {
      return error.code() == ErrorCode::unauthorized;
    }
  }
};

TEST_CASE("a rescue code is good once, however it is typed", "[rescue]") {
  Codes codes;
  auto made = codes.make();
  CHECK(made.secret.size() == 19);
  CHECK(codes.make().secret != made.secret);
  CHECK_FALSE(codes.codes.find_session(made.secret));
  std::string typed = made.secret;
  std::replace(typed.begin(), typed.end(), '-', ' ');
  std::replace(typed.begin(), typed.end(), '0', 'o');
  std::replace(typed.begin(), typed.end(), '1', 'l');
  std::transform(typed.begin(), typed.end(), typed.begin(), ::tolower);
  auto session = codes.codes.exchange(typed);
  CHECK(session.code.id == made.code.id);
  CHECK(codes.is_refused(made.secret));
  auto found = codes.codes.find_session(session.secret);
  REQUIRE(found);
  CHECK(found->machines == std::set<std::string>{"web"});
  CHECK(found->tenant == kTenant);
  // Its secret is not a code, and a part of it is nothing.
  CHECK(codes.is_refused(session.secret));
  CHECK_FALSE(codes.codes.find_session(session.secret.substr(0, 20)));
  CHECK_FALSE(codes.codes.find_session(""));
}

TEST_CASE("codes and sessions end", "[rescue]") {
  Codes codes;
  auto late = codes.make(), used = codes.make();
  auto session = codes.codes.exchange(used.secret);
  // The wall clock decides nothing.
  codes.clock.set_wall(1);
  codes.clock.pass(59'999);
  CHECK(codes.codes.list(access::TenantScope::all()).size() == 2);
  codes.clock.pass(1);
  CHECK(codes.is_refused(late.secret));
  CHECK(codes.codes.find_session(session.secret));
  codes.clock.pass(RescueCodes::kSessionMs);
  CHECK_FALSE(codes.codes.find_session(session.secret));
  CHECK(codes.codes.list(access::TenantScope::all()).empty());
}

TEST_CASE("a code is its tenant's, and can be revoked", "[rescue]") {
  Codes codes;
  auto made = codes.make();
  auto session = codes.codes.exchange(made.secret);
  CHECK(codes.codes.list(kOther).empty());
  CHECK_THROWS_AS(codes.codes.revoke(made.code.id, kOther), base::Error);
  CHECK(codes.codes.find_session(session.secret));
  codes.codes.revoke(made.code.id, kTenant);
  CHECK_FALSE(codes.codes.find_session(session.secret));
  CHECK_THROWS_AS(codes.codes.revoke(made.code.id, kTenant), base::Error);
}

TEST_CASE("no more codes than the appliance keeps", "[rescue]") {
  Codes codes;
  for (size_t i = 0; i < RescueCodes::kMaxCodes; ++i) codes.make();
  CHECK_THROWS_AS(codes.make(), base::Error);
  codes.clock.pass(60'000);
  CHECK_NOTHROW(codes.make());
}

}  // namespace
}  // namespace appliance::rescue
