#include "appliance/catalog/sqlite/people.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::string_view kSelectUser =
    "SELECT u.id, u.name, u.role, t.name, u.note, u.disabled, u.password, u.created_ms, "
    "u.password_ms, u.signed_in_ms, u.totp_confirmed, "
    "(SELECT count(*) FROM recovery_codes c WHERE c.user = u.id) "
    "FROM users u LEFT JOIN tenants t ON t.id = u.tenant ";
constexpr std::string_view kSelectSession =
    "SELECT id, user, token, created_ms, used_ms, address FROM sessions ";

User read_user(Statement& row) {
  User user;
  user.id = UserId::from_hex(row.text(0));
  user.name = row.text(1);
  user.role = access::user_role_from_name(row.text(2));
  if (!row.is_null(3)) user.tenant = TenantName(row.text(3));
  user.note = row.text(4);
  user.disabled = row.integer(5) != 0;
  user.password = row.text(6);
  user.created_ms = row.natural(7);
  user.password_ms = row.natural(8);
  if (!row.is_null(9)) user.signed_in_ms = row.natural(9);
  user.has_totp = row.integer(10) != 0;
  user.recovery_code_count = row.natural(11);
  return user;
}

Session read_session(Statement& row) {
  Session session;
  session.id = SessionId::from_hex(row.text(0));
  if (!row.is_null(1)) session.user = UserId::from_hex(row.text(1));
  if (!row.is_null(2)) session.token = TokenId::from_hex(row.text(2));
  session.created_ms = row.natural(3);
  session.used_ms = row.natural(4);
  session.address = row.text(5);
  return session;
}

std::optional<User> find_one(Database& database, std::string_view column, std::string_view value) {
  Statement statement = database.prepare(fmt::format("{} WHERE u.{} = ?", kSelectUser, column));
  statement.bind(value);
  if (!statement.step()) return std::nullopt;
  return read_user(statement);
}

User require_user(Database& database, const UserId& id) {
  if (auto user = find_one(database, "id", id.hex())) return *user;
  throw Error(ErrorCode::not_found, "the user does not exist any more");
}

std::optional<int64_t> number_of(Database& database, const std::optional<TenantName>& tenant) {
  if (!tenant) return std::nullopt;
  return tenant_id(database, *tenant);
}

void insert_user(Database& database, const User& user) {
  if (find_one(database, "name", user.name)) {
    throw Error(ErrorCode::already_exists,
                fmt::format("the name '{}' is taken; choose another one", user.name));
  }
  database
      .prepare(
          "INSERT INTO users(id, name, role, tenant, note, disabled, password, created_ms, "
          "password_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(user.id.hex(), user.name, access::user_role_name(user.role),
            number_of(database, user.tenant), user.note, user.disabled ? 1 : 0, user.password,
            user.created_ms, user.password_ms)
      .run();
}

void end_sessions(Database& database, const UserId& id) {
  database.prepare("DELETE FROM sessions WHERE user = ?").bind(id.hex()).run();
}

// To be called in the transaction that takes an owner away.
void require_owner(Database& database) {
  Statement statement =
      database.prepare("SELECT count(*) FROM users WHERE role = 'owner' AND disabled = 0");
  statement.step();
  if (statement.integer(0) != 0) return;
  throw Error(ErrorCode::busy,
              "this is the last owner who can sign in; make another user an owner first");
}

bool is_active_owner(const User& user) {
  return user.role == access::UserRole::owner && !user.disabled;
}

}  // namespace

bool SqlitePeopleRecords::has_users() {
  auto database = database_.lock();
  return (*database)->prepare("SELECT 1 FROM users LIMIT 1").step();
}

std::vector<User> SqlitePeopleRecords::users(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE ?1 IS NULL OR t.name = ?1 ORDER BY u.name", kSelectUser));
  statement.bind(tenant_filter(**database, scope));
  std::vector<User> users;
  while (statement.step()) users.push_back(read_user(statement));
  return users;
}

std::optional<User> SqlitePeopleRecords::find_user(std::string_view name) {
  auto database = database_.lock();
  return find_one(**database, "name", name);
}

std::optional<User> SqlitePeopleRecords::find_user(const UserId& id) {
  auto database = database_.lock();
  return find_one(**database, "id", id.hex());
}

void SqlitePeopleRecords::add_user(const User& user) {
  auto database = database_.lock();
  Transaction transaction(**database);
  insert_user(**database, user);
  transaction.commit();
}

void SqlitePeopleRecords::add_first_user(const User& user) {
  auto database = database_.lock();
  Transaction transaction(**database);
  if ((*database)->prepare("SELECT 1 FROM users LIMIT 1").step())
    throw Error(ErrorCode::already_exists, "this appliance has users already; sign in as an owner");
  insert_user(**database, user);
  transaction.commit();
}

void SqlitePeopleRecords::change_user(const User& user) {
  auto database = database_.lock();
  Transaction transaction(**database);
  User before = require_user(**database, user.id);
  (*database)
      ->prepare("UPDATE users SET role = ?, tenant = ?, note = ?, disabled = ? WHERE id = ?")
      .bind(access::user_role_name(user.role), number_of(**database, user.tenant), user.note,
            user.disabled ? 1 : 0, user.id.hex())
      .run();
  if (is_active_owner(before) && !is_active_owner(user)) require_owner(**database);
  bool is_only_note =
      before.role == user.role && before.tenant == user.tenant && before.disabled == user.disabled;
  if (!is_only_note) end_sessions(**database, user.id);
  transaction.commit();
}

void SqlitePeopleRecords::set_password(const UserId& id, const std::string& encoded,
                                       uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  require_user(**database, id);
  (*database)
      ->prepare("UPDATE users SET password = ?, password_ms = ? WHERE id = ?")
      .bind(encoded, now_ms, id.hex())
      .run();
  end_sessions(**database, id);
  transaction.commit();
}

void SqlitePeopleRecords::remove_user(const UserId& id) {
  auto database = database_.lock();
  Transaction transaction(**database);
  User before = require_user(**database, id);
  (*database)->prepare("DELETE FROM users WHERE id = ?").bind(id.hex()).run();
  if (is_active_owner(before)) require_owner(**database);
  transaction.commit();
}

void SqlitePeopleRecords::note_sign_in(const UserId& id, const std::string& address,
                                       uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  (*database)
      ->prepare("UPDATE users SET signed_in_ms = ? WHERE id = ?")
      .bind(now_ms, id.hex())
      .run();
  (*database)
      ->upsert("user_addresses", {"user", "address"}, {"seen_ms"})
      .bind(id.hex(), address, now_ms)
      .run();
  (*database)
      ->prepare(
          "DELETE FROM user_addresses WHERE user = ?1 AND address NOT IN (SELECT address FROM "
          "user_addresses WHERE user = ?1 ORDER BY seen_ms DESC, address LIMIT ?2)")
      .bind(id.hex(), kAddressesKept)
      .run();
  transaction.commit();
}

bool SqlitePeopleRecords::knows_address(const UserId& id, const std::string& address) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT 1 FROM user_addresses WHERE user = ? AND address = ?");
  return statement.bind(id.hex(), address).step();
}

std::optional<TotpSecret> SqlitePeopleRecords::find_totp(const UserId& id) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT totp_secret, totp_confirmed FROM users WHERE id = ?");
  statement.bind(id.hex());
  if (!statement.step() || statement.is_null(0)) return std::nullopt;
  return TotpSecret{statement.blob(0), statement.integer(1) != 0};
}

void SqlitePeopleRecords::save_totp(const UserId& id, const std::optional<TotpSecret>& totp) {
  auto database = database_.lock();
  Transaction transaction(**database);
  require_user(**database, id);
  if (totp) {
    (*database)
        ->prepare("UPDATE users SET totp_secret = ?, totp_confirmed = ? WHERE id = ?")
        .bind(base::ByteView(totp->secret), totp->confirmed ? 1 : 0, id.hex())
        .run();
  } else {
    (*database)
        ->prepare(
            "UPDATE users SET totp_secret = NULL, totp_confirmed = 0, totp_step = 0 WHERE id = ?")
        .bind(id.hex())
        .run();
    (*database)->prepare("DELETE FROM recovery_codes WHERE user = ?").bind(id.hex()).run();
    end_sessions(**database, id);
  }
  transaction.commit();
}

bool SqlitePeopleRecords::use_totp_step(const UserId& id, uint64_t step) {
  auto database = database_.lock();
  (*database)
      ->prepare("UPDATE users SET totp_step = ?1 WHERE id = ?2 AND totp_step < ?1")
      .bind(step, id.hex())
      .run();
  return (*database)->changed_rows() == 1;
}

void SqlitePeopleRecords::save_recovery_codes(const UserId& id,
                                              const std::vector<base::Sha256>& hashes) {
  auto database = database_.lock();
  Transaction transaction(**database);
  (*database)->prepare("DELETE FROM recovery_codes WHERE user = ?").bind(id.hex()).run();
  for (const base::Sha256& hash : hashes) {
    (*database)
        ->prepare("INSERT INTO recovery_codes(user, code_hash) VALUES (?, ?)")
        .bind(id.hex(), base::ByteView(hash))
        .run();
  }
  transaction.commit();
}

bool SqlitePeopleRecords::use_recovery_code(const UserId& id, const base::Sha256& hash) {
  auto database = database_.lock();
  (*database)
      ->prepare("DELETE FROM recovery_codes WHERE user = ? AND code_hash = ?")
      .bind(id.hex(), base::ByteView(hash))
      .run();
  return (*database)->changed_rows() == 1;
}

void SqlitePeopleRecords::add_session(const Session& session, const base::Sha256& secret_hash) {
  auto hex = [](const auto& id) { return id ? std::optional(id->hex()) : std::nullopt; };
  (*database_.lock())
      ->prepare(
          "INSERT INTO sessions(id, secret_hash, user, token, created_ms, used_ms, address) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(session.id.hex(), base::ByteView(secret_hash), hex(session.user), hex(session.token),
            session.created_ms, session.used_ms, session.address)
      .run();
}

std::optional<Session> SqlitePeopleRecords::find_session(const base::Sha256& secret_hash) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare(fmt::format("{} WHERE secret_hash = ?", kSelectSession));
  statement.bind(base::ByteView(secret_hash));
  if (!statement.step()) return std::nullopt;
  return read_session(statement);
}

std::vector<Session> SqlitePeopleRecords::sessions() {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare(fmt::format("{} ORDER BY created_ms DESC, id", kSelectSession));
  std::vector<Session> sessions;
  while (statement.step()) sessions.push_back(read_session(statement));
  return sessions;
}

void SqlitePeopleRecords::touch_session(const SessionId& id, uint64_t now_ms) {
  (*database_.lock())
      ->prepare("UPDATE sessions SET used_ms = ? WHERE id = ?")
      .bind(now_ms, id.hex())
      .run();
}

bool SqlitePeopleRecords::end_session(const SessionId& id) {
  auto database = database_.lock();
  (*database)->prepare("DELETE FROM sessions WHERE id = ?").bind(id.hex()).run();
  return (*database)->changed_rows() == 1;
}

}  // namespace appliance::catalog::sqlite
