#include "appliance/api/http/authenticator.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using access::Privilege;
using access::TenantScope;
using base::Error;
using base::ErrorCode;

constexpr size_t kMaxSecretSize = 256;

Principal principal_of(Role role, TenantScope scope, std::string name) {
  return {role, privileges_of(role), std::nullopt, std::move(scope), std::move(name)};
}

}  // namespace

access::Privileges privileges_of(Role role) {
  if (role == Role::anonymous) return {};
  if (role == Role::agent) return {Privilege::host_work};
  if (role == Role::rescue) return {Privilege::point_fetch};
  access::Privileges all = access::Privileges::all();
  all.remove(Privilege::host_work);  // an operator is not a host
  return all;
}

void require_privilege(const Principal& principal, Privilege needed) {
  if (principal.privileges.has(needed)) return;
  bool is_for_hosts = needed == Privilege::host_work;
  if (principal.role == Role::anonymous && !is_for_hosts) {
    throw MissingCredentials(
        "an operator's token is needed; make one on the appliance with "
        "'muletto token create --for operator'");
  }
  std::string words = "only an enrolled agent may do this; its client certificate is missing";
  if (principal.role == Role::anonymous) throw MissingCredentials(words);
  if (principal.role == Role::agent) words = "an agent may not do this";
  else if (!is_for_hosts)
    words = fmt::format("{} may not do this: it needs the privilege {}", principal.name,
                        access::privilege_name(needed));
  throw Error(ErrorCode::unauthorized, words);
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
  if (peer.local_root) return principal_of(Role::admin, TenantScope::all(), "root");
  if (peer.certificate_serial) {
    if (auto host = catalog_.find_host_by_certificate(*peer.certificate_serial)) {
      if (host->revoked) {
        throw HostRevoked(fmt::format("the host '{}' was revoked; enroll it again", host->name));
      }
      std::string name = "host " + host->name;
      Principal agent = principal_of(Role::agent, host->tenant, std::move(name));
      agent.host = std::move(*host);
      return agent;
    }
    throw Error(ErrorCode::unauthorized,
                "the client certificate belongs to no enrolled host; if the appliance's catalog "
                "was restored from an older "
                "backup, enroll the host again");
  }
  if (!authorization.empty()) {
    uint64_t now = base::now_ms();
    std::string secret = bearer_secret(authorization);
    if (find_guest_) {
      if (auto guest = find_guest_(secret)) return *guest;
    }
    base::Sha256 hash = base::sha256(base::as_bytes(secret));
    auto token = catalog_.find_valid_token(catalog::TokenKind::operator_, hash, now);
    if (token) {
      constexpr uint64_t kTouchEveryMs = 60'000;  // each update is an fsync
      if (!token->used_ms || base::has_passed(*token->used_ms, kTouchEveryMs, now))
        catalog_.touch_token(token->id, now);
      TenantScope scope = TenantScope::all();
      if (token->tenant_only) scope = token->tenant;
      return principal_of(Role::admin, std::move(scope), "token " + token->id.hex());
    }
    // An enrolment token is not an operator's: its holder stays anonymous, and the enrol route
    // checks the token.
    if (catalog_.find_valid_token(catalog::TokenKind::enrolment, hash, now)) return {};
    throw Error(ErrorCode::unauthorized, "the token is wrong, expired, used or revoked");
  }
  return {};
}

}  // namespace appliance::api
