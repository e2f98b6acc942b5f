// Passwords, codes, sessions, the first owner.
#include "appliance/people/people.h"

#include <catch2/catch.hpp>

#include "appliance/people/setup_code.h"
#include "appliance/people/totp.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/scratch_directory.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::people {
namespace {

using access::UserRole;

constexpr const char* kPassword = "a long word for it";
constexpr uint64_t kHourMs = 3'600'000;

// A catalog, a clock that tests turn, and People with passwords that cost nothing.
class Fixture {
 public:
  catalog::User add(const std::string& name, UserRole role) {
    catalog::User user;
    user.name = name;
    user.role = role;
    people.add_user(user, kPassword);
    return *catalog().find_user(name);
  }
  NewSession sign_in(const std::string& name, const std::string& code = "",
                     const std::string& password = kPassword,
                     const std::string& address = "192.0.2.1") {
    return people.sign_in({name, password, code}, address);
  }
  // The reason of WrongCredentials; "wait" for MustWait; "in" if it succeeds.
  std::string outcome(const std::string& name, const std::string& code = "",
                      const std::string& password = kPassword,
                      const std::string& address = "192.0.2.1") {
    try {
      sign_in(name, code, password, address);
      return "in";
    } catch (const WrongCredentials& error) {
      return error.reason.empty() ? "wrong" : error.reason;
    } catch (const MustWait&) {
      return "wait";
    }
  }
  catalog::Catalog& catalog() { return fresh_->get(); }

 private:
  std::unique_ptr<catalog::FreshCatalog> fresh_ = catalog::make_catalog("sqlite");
  base::ScratchDirectory scratch_{"/tmp", "muletto-people"};

 public:
  base::ManualClock clock;
  const std::string code_path = scratch_.path() + "/setup-code";
  People people{
      catalog(), {.cost = {.memory_kib = 64, .passes = 1}, .setup_code_path = code_path}, clock};
};

}  // namespace

TEST_CASE("one-time codes are those of RFC 6238", "[people]") {
  std::string text = "12345678901234567890";
  base::ByteView secret = base::as_bytes(text);
  const std::pair<uint64_t, const char*> kVectors[] = {{59, "287082"},
                                                       {1'111'111'109, "081804"},
                                                       {1'111'111'111, "050471"},
                                                       {1'234'567'890, "005924"},
                                                       {2'000'000'000, "279037"},
                                                       {20'000'000'000, "353130"}};
  for (const auto& [seconds, code] : kVectors)
    CHECK(totp_code(secret, totp_step(seconds * 1000)) == code);
  CHECK(match_totp(secret, "287082", 59'000) == 1);
  CHECK(match_totp(secret, "287082", 89'000) == 1);  // a step late
  CHECK_FALSE(match_totp(secret, "287082", 120'000));
  CHECK_FALSE(match_totp(secret, "28708", 59'000));
  CHECK_FALSE(match_totp(secret, "", 59'000));
  CHECK(match_totp(secret, totp_code(secret, 0), 0) == 0);
  CHECK(base32(base::as_bytes("foobar")) == "MZXW6YTBOI");
  CHECK(base32(base::as_bytes("f")) == "MY");
}

TEST_CASE("a code is the same however it is typed", "[people]") {
  CHECK(hash_code("ABCD-EFGH") == hash_code("abcd efgh"));
  CHECK(hash_code("BOIL") == hash_code("801L"));
  CHECK(hash_code("ABCD") != hash_code("ABCE"));
  CHECK(make_code(4).size() == 19);
  CHECK(make_code(4) != make_code(4));
}

TEST_CASE("passwords are checked against their encoded form", "[people]") {
  PasswordCost cheap{.memory_kib = 64, .passes = 1};
  std::string encoded = encode_password(kPassword, cheap);
  CHECK(encoded.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
  CHECK(encoded != encode_password(kPassword, cheap));
  CHECK(password_matches(kPassword, encoded));
  CHECK_FALSE(password_matches("another long word", encoded));
  for (const char* broken : {"", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA"})
    CHECK_FALSE(password_matches(kPassword, broken));
  CHECK_NOTHROW(require_good_password(kPassword, "anna"));
  for (const char* bad :
       {"short", "aaaaaaaaaaaaaaaa", "my name is anna!", "\xFF\xFE twelve letters"})
    CHECK_THROWS_AS(require_good_password(bad, "anna"), base::Error);
  CHECK_THROWS_AS(require_good_password(std::string(300, 'x') + "abcdef", ""), base::Error);
}

TEST_CASE("a session lasts as long as it is used, and no longer than its full age", "[people]") {
  Fixture fixture;
  fixture.add("anna", UserRole::technician);
  std::string secret = fixture.sign_in("Anna").secret;  // a phone's capital
  auto who = fixture.people.find(secret);
  REQUIRE(who);
  CHECK(who->name == "user anna");
  CHECK(who->scope.is_all());
  CHECK(who->privileges.has(access::Privilege::vm_start));
  CHECK_FALSE(who->privileges.has(access::Privilege::point_delete));
  SECTION("unused for an hour") {
    fixture.clock.pass(kHourMs + 1);
    CHECK_FALSE(fixture.people.find(secret));
    CHECK(fixture.catalog().sessions().empty());
  }
  SECTION("used again and again") {
    for (int i = 0; i < 23; ++i) {
      fixture.clock.pass(kHourMs / 2);
      CHECK(fixture.people.find(secret));
    }
    fixture.clock.pass(kHourMs / 2);
    CHECK_FALSE(fixture.people.find(secret));
  }
  SECTION("the clock was turned back") {
    fixture.clock.set_wall(fixture.clock.wall_ms() - kHourMs);
    CHECK_FALSE(fixture.people.find(secret));
  }
  SECTION("it is ended") {
    CHECK(fixture.catalog().end_session(who->session.id));
    CHECK_FALSE(fixture.people.find(secret));
  }
  CHECK_FALSE(fixture.people.find("ms_0000"));
}

TEST_CASE("sessions end when what they stand for changes", "[people]") {
  Fixture fixture;
  fixture.add("boss", UserRole::owner);
  catalog::User user = fixture.add("anna", UserRole::technician);
  std::string secret = fixture.sign_in("anna").secret, other = fixture.sign_in("boss").secret;
  SECTION("password") { fixture.people.set_password(user, "quite another word"); }
  SECTION("role") {
    user.role = UserRole::auditor;
    fixture.catalog().change_user(user);
  }
  SECTION("disabled") {
    user.disabled = true;
    fixture.catalog().change_user(user);
    CHECK(fixture.outcome("anna") == "wrong");
  }
  SECTION("removed") { fixture.catalog().remove_user(user.id); }
  SECTION("second factor removed") { fixture.catalog().save_totp(user.id, std::nullopt); }
  CHECK_FALSE(fixture.people.find(secret));
  CHECK(fixture.people.find(other));
}

TEST_CASE("the session of a token is worth what the token is", "[people]") {
  Fixture fixture;
  catalog::User user = fixture.add("anna", UserRole::technician);
  catalog::Token token;
  token.id = catalog::TokenId::random();
  token.kind = catalog::TokenKind::operator_;
  token.tenant = access::TenantName(access::kDefaultTenant);
  token.created_ms = 1;
  token.expires_ms = fixture.clock.wall_ms() + kHourMs / 2;
  token.role = UserRole::administrator;
  token.made_by = user.id;
  fixture.catalog().add_token(token, base::sha256(base::as_bytes("mt_x")));
  CHECK_THROWS_AS(fixture.people.sign_in_with_token("mt_y", ""), WrongCredentials);
  std::string secret = fixture.people.sign_in_with_token(" mt_x\n", "").secret;
  auto who = fixture.people.find(secret);
  REQUIRE(who);
  CHECK_FALSE(who->privileges.has(access::Privilege::point_delete));  // its maker may not
  SECTION("it expires") { fixture.clock.pass(kHourMs / 2 + 1); }
  SECTION("it is revoked") { fixture.catalog().remove_token(token.id); }
  SECTION("its maker is disabled") {
    user.disabled = true;
    fixture.catalog().change_user(user);
    CHECK_THROWS_AS(fixture.people.sign_in_with_token("mt_x", ""), WrongCredentials);
  }
  SECTION("its maker is removed") { fixture.catalog().remove_user(user.id); }
  CHECK_FALSE(fixture.people.find(secret));
}

TEST_CASE("with a second factor a code is needed, once each", "[people]") {
  Fixture fixture;
  catalog::User user = fixture.add("anna", UserRole::technician);
  base::Bytes secret = fixture.people.begin_totp(user);
  CHECK(fixture.outcome("anna") == "in");  // it does not count yet
  CHECK_THROWS_AS(fixture.people.confirm_totp(user, "000000", ""), WrongCredentials);
  auto code = [&] { return totp_code(secret, totp_step(fixture.clock.wall_ms())); };
  std::vector<std::string> recovery = fixture.people.confirm_totp(user, code(), "");
  REQUIRE(recovery.size() == kRecoveryCodeCount);
  user = *fixture.catalog().find_user("anna");
  CHECK(user.has_totp);
  CHECK(user.recovery_code_count == kRecoveryCodeCount);
  CHECK_THROWS_AS(fixture.people.begin_totp(user), base::Error);

  CHECK(fixture.outcome("anna") == "code-needed");
  CHECK(fixture.outcome("anna", code()) == "code-wrong");  // confirming has used it up
  fixture.clock.pass(kTotpStepMs);
  CHECK(fixture.outcome("anna", code()) == "in");
  CHECK(fixture.outcome("anna", code()) == "code-wrong");
  CHECK(fixture.outcome("anna", code(), "a wrong password") == "wrong");
  CHECK(fixture.outcome("anna", recovery[3]) == "in");
  CHECK(fixture.outcome("anna", recovery[3]) == "code-wrong");
  CHECK(fixture.catalog().find_user("anna")->recovery_code_count == kRecoveryCodeCount - 1);
}

TEST_CASE("guessing a code is slowed down as guessing a password is", "[people]") {
  Fixture fixture;
  catalog::User user = fixture.add("anna", UserRole::technician);
  base::Bytes secret = fixture.people.begin_totp(user);
  fixture.people.confirm_totp(user, totp_code(secret, totp_step(fixture.clock.wall_ms())), "");
  int guesses = 0, rounds = 0;
  // Between two guesses the attacker, who knows the password, asks without a code.
  for (; rounds < 1000; ++rounds) {
    if (fixture.outcome("anna", "000000") == "code-wrong") ++guesses;
    fixture.outcome("anna");
    fixture.clock.pass(10'000);
  }
  CHECK(guesses < 30);  // in 10,000 seconds
}

TEST_CASE("names that nobody has answer as wrong passwords do", "[people]") {
  Fixture fixture;
  fixture.add("anna", UserRole::technician);
  for (const char* name : {"zoe", "", "Robert'); DROP TABLE users;--", "a\nb"})
    CHECK(fixture.outcome(name) == "wrong");
  CHECK(fixture.outcome(std::string(100'000, 'x')) == "wrong");
  CHECK(fixture.outcome("anna", "", std::string(100'000, 'x')) == "wrong");
  for (const char* name : {"", "Anna", "a b", "anna\n", "ann\xC3\xA4"}) {
    catalog::User user;
    user.name = name;
    CHECK_THROWS_AS(fixture.people.add_user(user, kPassword), base::Error);
  }
}

TEST_CASE("the first owner is made with the code, once", "[people]") {
  Fixture fixture;
  settle_setup_code(fixture.catalog(), fixture.code_path);
  std::string code = fixture.people.setup_code().value();
  settle_setup_code(fixture.catalog(), fixture.code_path);
  CHECK(fixture.people.setup_code() == code);
  CHECK(fixture.people.is_first_start());
  CHECK_THROWS_AS(fixture.people.set_up("AAAA-BBBB-CCCC-DDDD", "anna", kPassword, ""),
                  WrongCredentials);
  CHECK_THROWS_AS(fixture.people.set_up("", "anna", kPassword, ""), WrongCredentials);
  CHECK_THROWS_AS(fixture.people.set_up(code, "anna", "short", ""), base::Error);
  CHECK(fixture.people.set_up(code, "anna", kPassword, "").role == UserRole::owner);
  CHECK_FALSE(fixture.people.is_first_start());
  CHECK_FALSE(fixture.people.setup_code());
  CHECK_FALSE(base::real_file_system().exists(fixture.code_path));
  CHECK_THROWS_AS(fixture.people.set_up(code, "eve", kPassword, ""), base::Error);
  CHECK(fixture.outcome("anna") == "in");
}

TEST_CASE("an empty file of the setup code opens nothing", "[people]") {
  Fixture fixture;
  base::write_private_file(fixture.code_path, "\n");
  CHECK_FALSE(is_setup_code(fixture.code_path, ""));
  CHECK_FALSE(is_setup_code(fixture.code_path + ".none", ""));
}

TEST_CASE("a user or token has a bounded number of sessions", "[people]") {
  Fixture fixture;
  fixture.add("anna", UserRole::technician);
  std::string first = fixture.sign_in("anna").secret;
  for (int i = 0; i < 40; ++i) {
    fixture.clock.pass(1);
    fixture.sign_in("anna");
  }
  CHECK(fixture.catalog().sessions().size() == 32);
  CHECK_FALSE(fixture.people.find(first));
}

}  // namespace appliance::people
