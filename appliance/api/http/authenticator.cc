#include "appliance/api/http/authenticator.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using access::TenantName;
using access::TenantScope;
using base::Error;
using base::ErrorCode;

constexpr size_t kMaxSecretSize = 256;

}  // namespace

void expect_access(const Principal& principal, Access access) {
  switch (access) {
    case Access::anyone: return;
    case Access::whole_appliance:
      if (auto tenant = principal.scope.only(); tenant && principal.role == Role::admin) {
        throw Error(ErrorCode::unauthorized,
                    fmt::format("this token is only for the tenant '{}'", tenant->text()));
      }
      return expect_access(principal, Access::operators);
    case Access::agents:
      if (principal.role == Role::agent) return;
      throw Error(ErrorCode::unauthorized,
                  "only an enrolled agent may do this; its client certificate is missing");
    case Access::operators:
      if (principal.role == Role::admin) return;
      if (principal.role == Role::agent)
        throw Error(ErrorCode::unauthorized, "an agent may not do this");
      throw Error(ErrorCode::unauthorized,
                  "an operator's token is needed; make one on the appliance with "
                  "'muletto token create --for operator'");
  }
}

std::string bearer_secret(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme) ||
      authorization.size() > kScheme.size() + kMaxSecretSize) {
    throw Error(ErrorCode::unauthorized, "the Authorization header must be 'Bearer TOKEN'");
  }
  return base::trim(authorization.substr(kScheme.size()));
}

Principal Authenticator::authenticate(const PeerFacts& peer, std::string_view authorization) {
  if (peer.local_root) return {Role::admin, std::nullopt, TenantScope::all(), "root"};
  if (peer.certificate_serial) {
    if (auto host = catalog_.find_host_by_certificate(*peer.certificate_serial)) {
      if (host->revoked) {
        throw HostRevoked(fmt::format("the host '{}' was revoked; enroll it again", host->name));
      }
      std::string name = "host " + host->name;
      TenantScope own(host->tenant);
      return {Role::agent, std::move(*host), std::move(own), std::move(name)};
    }
    throw Error(ErrorCode::unauthorized,
                "the client certificate belongs to no enrolled host; if the appliance's catalog "
                "was restored from an older "
                "backup, enroll the host again");
  }
  if (!authorization.empty()) {
    uint64_t now = base::now_ms();
    base::Sha256 hash = base::sha256(base::as_bytes(bearer_secret(authorization)));
    auto token = catalog_.find_valid_token(catalog::TokenKind::operator_, hash, now);
    if (token) {
      constexpr uint64_t kTouchEveryMs = 60'000;  // each update is an fsync
      if (!token->used_ms || base::has_passed(*token->used_ms, kTouchEveryMs, now))
        catalog_.touch_token(token->id, now);
      TenantScope scope = TenantScope::all();
      if (token->tenant_only) scope = token->tenant;
      return {Role::admin, std::nullopt, std::move(scope), "token " + token->id.hex()};
    }
    // An enrolment token is not an operator's: its holder stays anonymous, and the enrol route
    // checks the token.
    if (catalog_.find_valid_token(catalog::TokenKind::enrolment, hash, now)) return {};
    throw Error(ErrorCode::unauthorized, "the token is wrong, expired, used or revoked");
  }
  return {};
}

}  // namespace appliance::api
