#include "appliance/api/http/answering.h"

#include <fmt/format.h>

#include "appliance/api/http/errors.h"
#include "appliance/api/http/request_note.h"
#include "base/log.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;

// False if this principal sends too many requests.
bool admit(ConnectionServices& services, const Request& request, const std::string& address) {
  const Principal& principal = request.principal;
  if (principal.role == Role::admin) return true;
  if (principal.role != Role::agent) return services.strangers.admit(address);
  if (services.agents.admit(principal.host->id.hex())) return true;
  if (services.misconduct)
    services.misconduct(*principal.host,
                        {"requests", "it sends requests faster than they are answered"});
  return false;
}

// Logs every change: by whom, what, and from where.
void keep_record(const Request& request, const std::string& line, const PeerFacts& peer,
                 int status) {
  bool is_poll = request.principal.role == Role::agent;
  bool changes = request.method != "GET" && request.method != "HEAD" && status < 400;
  if (changes && !is_poll) {
    base::log().info("{} from {}: {}", line, peer.address, status);
  } else {
    base::log().debug("{} from {}: {}", line, peer.address, status);
  }
}

// To who was not recognised.
Response refuse(const Request& request, const PeerFacts& peer, const Error& error) {
  base::log().warn("{} {} from {} refused: {}", request.method, path_of(request.target),
                   peer.address, error.message());
  if (dynamic_cast<const HostRevoked*>(&error) != nullptr) return error_response(error, "revoked");
  if (dynamic_cast<const ForeignOrigin*>(&error) != nullptr)
    return error_response(error, "foreign-origin");
  return error.code() == ErrorCode::unauthorized ? challenge(error) : error_response(error);
}

}  // namespace

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

std::string key_of(const Principal& principal) {
  if (principal.session) return "session " + principal.session->hex();
  return principal.host ? principal.host->id.hex() : principal.name;
}

Response too_often() {
  constexpr uint64_t kWaitMs = 5000;
  return come_back_later(
      Error(ErrorCode::busy, "too many requests in a short time; try again in a few seconds"),
      kWaitMs);
}

RoutedResponse answer(ConnectionServices& services, const PeerFacts& peer,
                      const std::string& address, const RequestProof& proof, Request request) {
  request.address = address;
  RequestNote note(services.audit);
  try {
    request.principal = services.authenticator.authenticate(peer, proof);
  } catch (const Error& error) {
    Response refusal = refuse(request, peer, error);
    note.end(request, refusal);
    return {std::move(refusal), ""};
  } catch (const std::exception& error) {
    base::log().error("{} {}: unexpected failure: {}", request.method, path_of(request.target),
                      error.what());
    return {error_response(Error(ErrorCode::io, "unexpected failure; see the daemon's log")), ""};
  }
  std::string principal = request.principal.name;
  std::string key = key_of(request.principal);
  if (!admit(services, request, address)) {
    Response refusal = too_often();
    note.end(request, refusal);
    return {std::move(refusal), key};
  }
  std::string line = fmt::format("{} {} by {}", request.method, path_of(request.target),
                                 principal.empty() ? "a stranger" : principal);
  Response response = services.router.handle(
      request, [&](const Route& route, const Request& whole) { note.begin(route, whole); });
  note.end(request, response);
  keep_record(request, line, peer, response.status);
  return {std::move(response), std::move(key)};
}

}  // namespace appliance::api
