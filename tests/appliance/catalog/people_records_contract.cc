// What every PeopleRecords and AuditRecords promise.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

using access::UserRole;
using base::ErrorCode;

User make_user(const std::string& name, UserRole role) {
  User user;
  user.id = UserId::random();
  user.name = name;
  user.role = role;
  user.password = "encoded";
  user.created_ms = user.password_ms = 5;
  return user;
}

base::Sha256 hash_of(const std::string& text) { return base::sha256(base::as_bytes(text)); }

}  // namespace

TEST_CASE("records of people keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  PeopleRecords* records = &fresh->get();
  User owner = make_user("olga", UserRole::owner), anna = make_user("anna", UserRole::technician);

  SECTION("users are found by name and id, in their scope") {
    CHECK_FALSE(records->has_users());
    anna.role = UserRole::tenant_viewer;
    anna.tenant = TenantName(kDefaultTenant);
    anna.note = "of the client";
    records->add_first_user(owner);
    CHECK(code_of([&] { records->add_first_user(anna); }) == ErrorCode::already_exists);
    records->add_user(anna);
    CHECK(code_of([&] { records->add_user(make_user("anna", UserRole::owner)); }) ==
          ErrorCode::already_exists);
    fresh->reopen();
    records = &fresh->get();
    CHECK(records->has_users());
    User found = records->find_user("anna").value();
    CHECK(found.id == anna.id);
    CHECK(found.tenant == anna.tenant);
    CHECK(found.note == anna.note);
    CHECK(found.role == anna.role);
    CHECK(found.password == "encoded");
    CHECK_FALSE(found.signed_in_ms);
    CHECK(records->find_user(owner.id)->name == "olga");
    CHECK_FALSE(records->find_user("Anna"));
    CHECK(records->users(TenantScope::all()).size() == 2);
    CHECK(records->users(TenantName(kDefaultTenant)).size() == 1);
    CHECK(records->users(TenantScope()).empty());
  }
  SECTION("the last owner who can sign in stays") {
    records->add_user(owner);
    records->add_user(anna);
    User changed = owner;
    changed.disabled = true;
    CHECK(code_of([&] { records->change_user(changed); }) == ErrorCode::busy);
    changed = owner;
    changed.role = UserRole::administrator;
    CHECK(code_of([&] { records->change_user(changed); }) == ErrorCode::busy);
    CHECK(code_of([&] { records->remove_user(owner.id); }) == ErrorCode::busy);
    CHECK(records->find_user("olga")->role == UserRole::owner);
    records->add_user(make_user("second", UserRole::owner));
    records->change_user(changed);
    CHECK(records->find_user("olga")->role == UserRole::administrator);
    CHECK(code_of([&] { records->remove_user(UserId::random()); }) == ErrorCode::not_found);
  }
  SECTION("sessions end with what they stand for, but not with a note") {
    records->add_user(owner);
    records->add_user(anna);
    Session session{SessionId::random(), anna.id, {}, 10, 20, "192.0.2.1"};
    records->add_session(session, hash_of("secret"));
    records->add_session({SessionId::random(), owner.id, {}, 11, 21, ""}, hash_of("other"));
    Session found = records->find_session(hash_of("secret")).value();
    CHECK(found.id == session.id);
    CHECK(found.user == anna.id);
    CHECK_FALSE(found.token);
    CHECK(found.address == "192.0.2.1");
    records->touch_session(session.id, 30);
    CHECK(records->find_session(hash_of("secret"))->used_ms == 30);
    anna.note = "new";
    records->change_user(anna);
    CHECK(records->sessions().size() == 2);
    CHECK(records->sessions().front().user == owner.id);
    records->set_password(anna.id, "another", 50);
    CHECK(records->find_user("anna")->password == "another");
    CHECK(records->sessions().size() == 1);
    CHECK_FALSE(records->find_session(hash_of("secret")));
    CHECK_FALSE(records->end_session(session.id));
    CHECK(records->end_session(records->sessions().front().id));
  }
  SECTION("removed users leave nothing behind") {
    records->add_user(anna);
    Token token{TokenId::random(), TokenKind::operator_, TenantName(kDefaultTenant), "", 1, {}, {}};
    token.made_by = anna.id;
    token.role = UserRole::auditor;
    fresh->get().add_token(token, hash_of("token"));
    Token found = fresh->get().find_valid_token(TokenKind::operator_, hash_of("token"), 1).value();
    CHECK(found.made_by == anna.id);
    CHECK(found.made_by_name == "anna");
    CHECK(found.made_by_role == UserRole::technician);
    CHECK(found.role == UserRole::auditor);
    CHECK(fresh->get().find_operator_token(token.id, 1));
    records->add_session({SessionId::random(), {}, token.id, 1, 1, ""}, hash_of("session"));
    User disabled = anna;
    disabled.disabled = true;
    records->change_user(disabled);
    CHECK_FALSE(fresh->get().find_valid_token(TokenKind::operator_, hash_of("token"), 1));
    CHECK_FALSE(fresh->get().find_operator_token(token.id, 1));
    records->remove_user(anna.id);
    CHECK(fresh->get().tokens(TenantScope::all()).empty());
    CHECK(records->sessions().empty());
  }
  SECTION("addresses: the newest are known") {
    records->add_user(anna);
    for (uint64_t i = 0; i < PeopleRecords::kAddressesKept + 2; ++i)
      records->note_sign_in(anna.id, "192.0.2." + std::to_string(i), 100 + i);
    CHECK_FALSE(records->knows_address(anna.id, "192.0.2.1"));
    CHECK(records->knows_address(anna.id, "192.0.2.2"));
    CHECK_FALSE(records->knows_address(owner.id, "192.0.2.2"));
    CHECK(records->find_user("anna")->signed_in_ms == 109);
  }
  SECTION("codes of a second factor count once") {
    records->add_user(anna);
    CHECK_FALSE(records->find_totp(anna.id));
    records->save_totp(anna.id, TotpSecret{{1, 2, 3}, false});
    CHECK_FALSE(records->find_user("anna")->has_totp);
    records->save_totp(anna.id, TotpSecret{{1, 2, 3}, true});
    CHECK(records->find_user("anna")->has_totp);
    CHECK(records->find_totp(anna.id)->secret == base::Bytes{1, 2, 3});
    CHECK(records->use_totp_step(anna.id, 7));
    CHECK_FALSE(records->use_totp_step(anna.id, 7));
    CHECK_FALSE(records->use_totp_step(anna.id, 6));
    CHECK(records->use_totp_step(anna.id, 8));
    records->save_recovery_codes(anna.id, {hash_of("a"), hash_of("b")});
    CHECK(records->use_recovery_code(anna.id, hash_of("a")));
    CHECK_FALSE(records->use_recovery_code(anna.id, hash_of("a")));
    CHECK_FALSE(records->use_recovery_code(owner.id, hash_of("b")));
    CHECK(records->find_user("anna")->recovery_code_count == 1);
    records->save_totp(anna.id, std::nullopt);
    CHECK(records->find_user("anna")->recovery_code_count == 0);
    CHECK_FALSE(records->find_totp(anna.id));
  }
  SECTION("old sessions are pruned") {
    records->add_user(anna);
    records->add_session({SessionId::random(), anna.id, {}, 1, 1, ""}, hash_of("old"));
    records->add_session({SessionId::random(), anna.id, {}, 1, 40ull * 86'400'000, ""},
                         hash_of("new"));
    CHECK(fresh->get().prune({}, 41ull * 86'400'000).sessions == 1);
    CHECK(records->find_session(hash_of("new")));
  }
}

TEST_CASE("rows of the audit log keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  AuditRecords* records = &fresh->get();
  CHECK_FALSE(records->last_audit());
  for (uint64_t i = 1; i <= 5; ++i)
    records->append_audit({i, "{\"n\":" + std::to_string(i) + "}", hash_of(std::to_string(i))});
  CHECK(code_of([&] { records->append_audit({3, "{}", {}}); }) == ErrorCode::already_exists);
  fresh->reopen();
  records = &fresh->get();
  CHECK(records->last_audit()->sequence == 5);
  CHECK(records->last_audit()->hash == hash_of("5"));
  auto some = records->audit(2, 3);
  REQUIRE(some.size() == 3);
  CHECK(some.front().body == "{\"n\":2}");
  CHECK(records->audit(6, 10).empty());
}

}  // namespace appliance::catalog
