#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/account_rules.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxLifetimeMs = 10ull * 365 * 86'400'000;
// Of an operator's token, unless "never" is requested.
constexpr uint64_t kOperatorLifetimeMs = 90ull * 86'400'000;
constexpr size_t kMaxNote = 255;  // bytes

// "mt_" identifies it for people and secret scanners; 256 random bits need no slow hash.
std::string make_secret() { return "mt_" + base::to_hex(base::random_array<32>()); }

// Of an operator's token. Without a wish: what the caller is himself, and for root an administrator.
access::UserRole role_of(const Request& request, const std::optional<std::string>& wanted) {
  if (wanted) return access::user_role_from_name(*wanted);
  return request.principal.name == "root" ? access::UserRole::administrator
                                          : request.principal.user_role;
}

// {"kind"?, "role"? (an operator's), "expires"? (a duration, or "never" for an operator), "note"?}: the
// secret is only in this answer.
Response create_token(Services& services, const Request& request) {
  BodyFields body(request.body);
  catalog::Token token;
  token.kind = catalog::token_kind_from_name(body.text("kind").value_or("enrolment"));
  auto expires = body.text("expires");
  auto role = body.text("role");
  token.note = body.text("note").value_or("");
  body.require_no_more();
  if (!token.note.empty()) base::check_name(token.note.substr(0, kMaxNote + 1), "token's note");
  token.id = catalog::TokenId::random();
  token.tenant = request.tenant();
  bool is_operator = token.kind == catalog::TokenKind::operator_;
  if (role && !is_operator)
    throw base::Error(base::ErrorCode::invalid_argument,
                      "an agent's token has no role; leave 'role' out");
  if (is_operator) token.role = role_of(request, role);
  token.tenant_only =
      is_operator && (!request.scope().is_all() || !request.query_value("tenant").empty() ||
                      access::is_tenants_own(token.role));
  if (is_operator)
    require_may_give(request.principal, token.role,
                     token.tenant_only ? std::optional(token.tenant) : std::nullopt);
  token.made_by = request.principal.user;
  token.created_ms = base::now_ms();
  uint64_t lifetime_ms = is_operator ? kOperatorLifetimeMs : services.config.token_lifetime_ms;
  bool lasting = is_operator && expires == "never";  // until it is revoked
  if (expires && !lasting) lifetime_ms = base::parse_duration_ms(*expires);
  if (lifetime_ms == 0 || lifetime_ms > kMaxLifetimeMs) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the lifetime of a token must be more than nothing and at most ten years");
  }
  if (!lasting) token.expires_ms = token.created_ms + lifetime_ms;

  std::string secret = make_secret();
  services.catalog.add_token(token, base::sha256(base::as_bytes(secret)));
  json result = token_json(token);
  if (token.made_by) {
    if (auto maker = services.catalog.find_user(*token.made_by)) result["made_by"] = maker->name;
  }
  result["token"] = secret;
  result["fingerprint"] = services.authority.fingerprint();
  result["address"] = services.public_address();
  result["command"] = nullptr;
  result["install"] = nullptr;
  if (token.kind == catalog::TokenKind::enrolment) {
    result["command"] = fmt::format("muletto-agent enroll {} --fingerprint {}",
                                    services.public_address(), services.authority.fingerprint());
    // curl gives up before it sends anything if another key answers. The token is no part of the line,
    // which every user of the host can read while it runs.
    result["install"] = fmt::format(
        "curl -fsS --proto =https --insecure --pinnedpubkey sha256//{0} https://{1}/install | sh "
        "-s -- "
        "{1} {2} {0}",
        services.authority.server_pin(), services.public_address(),
        services.authority.fingerprint());
  }
  return json_response({{"token", result}}, 201);
}

Response list_tokens(Services& services, const Request& request) {
  json list = json::array();
  for (const catalog::Token& token : services.catalog.tokens(request.scope()))
    list.push_back(token_json(token));
  return json_response({{"tokens", list}});
}

Response revoke_token(Services& services, const Request& request) {
  services.catalog.revoke_token(request.path_value("id"), request.scope());
  return json_response({{"revoked", true}});
}

}  // namespace

void add_token_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/tokens", Privilege::token_view, Resource::tenant, list_tokens},
          {"POST", "/api/v1/tokens", Privilege::token_create, Resource::tenant, create_token},
          {"DELETE", "/api/v1/tokens/{id}", Privilege::token_revoke, Resource::token, revoke_token},
      });
}

}  // namespace appliance::api
