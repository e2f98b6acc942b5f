#include "appliance/catalog/sqlite/hosts.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT k.id, k.kind, t.name, k.note, k.created_ms, k.expires_ms, k.used_ms, "
    "k.tenant_only, k.role, k.user, u.name, u.role "
    "FROM tokens k JOIN tenants t ON t.id = k.tenant LEFT JOIN users u ON u.id = k.user ";

Token read_token(Statement& row) {
  Token token;
  token.id = TokenId::from_hex(row.text(0));
  token.kind = token_kind_from_name(row.text(1));
  token.tenant = TenantName(row.text(2));
  token.note = row.text(3);
  token.created_ms = row.natural(4);
  if (!row.is_null(5)) token.expires_ms = row.natural(5);
  if (!row.is_null(6)) token.used_ms = row.natural(6);
  token.tenant_only = row.integer(7) != 0;
  token.role = access::user_role_from_name(row.text(8));
  if (!row.is_null(9)) {
    token.made_by = UserId::from_hex(row.text(9));
    token.made_by_name = row.text(10);
    token.made_by_role = access::user_role_from_name(row.text(11));
  }
  return token;
}

}  // namespace

void SqliteHostRecords::add_token(const Token& token, const base::Sha256& secret_hash) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "INSERT INTO tokens(id, kind, tenant, secret_hash, note, created_ms, expires_ms, "
          "tenant_only, role, user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(token.id.hex(), token_kind_name(token.kind), tenant_id(**database, token.tenant),
            base::ByteView(secret_hash), token.note, token.created_ms, token.expires_ms,
            token.tenant_only ? 1 : 0, access::user_role_name(token.role),
            token.made_by ? std::optional(token.made_by->hex()) : std::nullopt)
      .run();
}

std::vector<Token> SqliteHostRecords::tokens(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE ?1 IS NULL OR t.name = ?1 ORDER BY k.created_ms, k.id", kSelect));
  statement.bind(tenant_filter(**database, scope));
  std::vector<Token> tokens;
  while (statement.step()) tokens.push_back(read_token(statement));
  return tokens;
}

void SqliteHostRecords::remove_token(const TokenId& id) {
  (*database_.lock())->prepare("DELETE FROM tokens WHERE id = ?").bind(id.hex()).run();
}

std::optional<Token> SqliteHostRecords::find_valid_token(TokenKind kind,
                                                         const base::Sha256& secret_hash,
                                                         uint64_t now_ms) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "{} WHERE k.secret_hash = ?1 AND k.kind = ?2 AND (k.expires_ms IS NULL OR k.expires_ms > ?3) "
      "AND (k.kind <> 'enrolment' OR k.used_ms IS NULL) AND coalesce(u.disabled, 0) = 0",
      kSelect));
  statement.bind(base::ByteView(secret_hash), token_kind_name(kind), now_ms);
  if (!statement.step()) return std::nullopt;
  return read_token(statement);
}

std::optional<Token> SqliteHostRecords::find_operator_token(const TokenId& id, uint64_t now_ms) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE k.id = ?1 AND k.kind = 'operator' AND (k.expires_ms IS NULL OR "
                  "k.expires_ms > ?2) AND coalesce(u.disabled, 0) = 0",
                  kSelect));
  statement.bind(id.hex(), now_ms);
  if (!statement.step()) return std::nullopt;
  return read_token(statement);
}

void SqliteHostRecords::touch_token(const TokenId& id, uint64_t now_ms) {
  (*database_.lock())
      ->prepare("UPDATE tokens SET used_ms = ? WHERE id = ?")
      .bind(now_ms, id.hex())
      .run();
}

}  // namespace appliance::catalog::sqlite
