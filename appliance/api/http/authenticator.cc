#include "appliance/api/http/authenticator.h"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>

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

Principal root() {
  return {Role::admin, access::privileges_of(access::UserRole::owner), std::nullopt,
          TenantScope::all(), "root"};
}

Principal agent(catalog::Host host) {
  Principal principal{
      Role::agent, {Privilege::host_work}, std::nullopt, host.tenant, "host " + host.name};
  principal.host = std::move(host);
  return principal;
}

// Only a page of the appliance itself may have a browser send this. The cookie is sent only for pages
// of the same site anyway (SameSite), but other ports and names of a machine can be the same site.
void require_own_origin(const RequestProof& proof, bool is_session) {
  if (!proof.is_guarded) return;
  if (proof.origin.empty() && !is_session) return;  // no browser
  if (!proof.host.empty() && boost::beast::iequals(proof.origin, "https://" + proof.host)) return;
  throw ForeignOrigin(
      proof.origin.empty()
          ? "a session's request needs the header Origin with the appliance's own address"
          : "the page that sent this is of another site");
}

}  // namespace

void require_privilege(const Principal& principal, Privilege needed) {
  if (principal.privileges.has(needed)) return;
  bool is_for_hosts = needed == Privilege::host_work;
  if (principal.session_has_ended && !is_for_hosts)
    throw MissingCredentials("the session has ended; sign in again");
  if (principal.role == Role::anonymous && !is_for_hosts) {
    throw MissingCredentials(
        "sign in, or use an operator's token; make one on the appliance with "
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

std::optional<std::string> find_cookie(std::string_view header, std::string_view name) {
  std::optional<std::string> found;
  for (const std::string& part : base::split(header, ';')) {
    std::string cookie = base::trim(part);
    size_t equals = cookie.find('=');
    if (equals == std::string::npos || std::string_view(cookie).substr(0, equals) != name) continue;
    if (found) return std::nullopt;  // which one is meant cannot be known
    found = cookie.substr(equals + 1);
  }
  return found;
}

Principal Authenticator::by_token(std::string_view authorization) {
  uint64_t now = base::now_ms();
  base::Sha256 hash = base::sha256(base::as_bytes(bearer_secret(authorization)));
  auto token = catalog_.find_valid_token(catalog::TokenKind::operator_, hash, now);
  if (token) {
    constexpr uint64_t kTouchEveryMs = 60'000;  // each update is an fsync
    if (!token->used_ms || base::has_passed(*token->used_ms, kTouchEveryMs, now))
      catalog_.touch_token(token->id, now);
    Principal principal{Role::admin, people::privileges_of(*token), std::nullopt,
                        people::scope_of(*token), "token " + token->id.hex()};
    principal.user_role = token->role;
    principal.user = token->made_by;
    return principal;
  }
  // An enrolment token is not an operator's: its holder stays anonymous, and the enrol route
  // checks the token.
  if (catalog_.find_valid_token(catalog::TokenKind::enrolment, hash, now)) return {};
  throw Error(ErrorCode::unauthorized, "the token is wrong, expired, used or revoked");
}

// A browser sends the cookie of an ended session with everything, also with what needs none: so it
// counts as nothing.
Principal Authenticator::by_session(const std::string& secret) {
  Principal principal;
  auto who =
      people_ == nullptr || secret.size() > kMaxSecretSize ? std::nullopt : people_->find(secret);
  if (!who) {
    principal.session_has_ended = true;
    return principal;
  }
  principal.role = Role::admin;
  principal.privileges = who->privileges;
  principal.scope = who->scope;
  principal.name = who->name;
  principal.user_role = who->role;
  principal.session = who->session.id;
  principal.user = who->user;
  return principal;
}

Principal Authenticator::authenticate(const PeerFacts& peer, const RequestProof& proof) {
  if (peer.local_root) return root();
  if (peer.certificate_serial) {
    if (auto host = catalog_.find_host_by_certificate(*peer.certificate_serial)) {
      if (host->revoked) {
        throw HostRevoked(fmt::format("the host '{}' was revoked; enroll it again", host->name));
      }
      return agent(std::move(*host));
    }
    throw Error(ErrorCode::unauthorized,
                "the client certificate belongs to no enrolled host; if the appliance's catalog "
                "was restored from an older "
                "backup, enroll the host again");
  }
  if (!proof.authorization.empty()) {
    if (find_guest_) {
      if (auto guest = find_guest_(bearer_secret(proof.authorization))) return *guest;
    }
    return by_token(proof.authorization);
  }
  Principal principal;
  if (auto secret = find_cookie(proof.cookie, kSessionCookie)) principal = by_session(*secret);
  require_own_origin(proof, principal.session.has_value());
  return principal;
}

}  // namespace appliance::api
