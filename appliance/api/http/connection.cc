#include "appliance/api/http/connection.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <optional>

#include "appliance/api/http/answering.h"
#include "appliance/api/http/errors.h"
#include "appliance/api/http/takeover.h"
#include "base/log.h"
#include "base/transfer_upgrade.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using base::Error;
using base::ErrorCode;
using Parser = http::request_parser<http::string_body>;

constexpr size_t kReadSize = 16 * 1024;           // bytes
constexpr size_t kLingerSize = 8 * kMaxBodySize;  // bytes
constexpr std::chrono::seconds kLingerTime{2};

// One connection while it is served.
struct Connection {
  Transport& transport;
  ConnectionServices& services;
  ConnectionSlot& slot;
  PeerFacts peer;
  std::string pending;  // read, but not parsed yet
};

// Status line and fields, up to the line that says how the body's length is told.
std::string head_of(const Response& response, bool keep_alive) {
  auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\nServer: mulettod\r\nContent-Type: {}\r\nConnection: {}\r\n",
                  response.status, std::string_view(reason.data(), reason.size()),
                  response.content_type, keep_alive ? "keep-alive" : "close");
  if (!response.headers.contains("Cache-Control")) head += "Cache-Control: no-store\r\n";
  for (const auto& [name, value] : response.headers) head += fmt::format("{}: {}\r\n", name, value);
  return head;
}

asio::awaitable<void> write_response(Connection& connection, const Response& response,
                                     bool keep_alive) {
  std::string message = fmt::format("{}Content-Length: {}\r\n\r\n{}", head_of(response, keep_alive),
                                    response.body.size(), response.body);
  connection.transport.set_deadline(connection.services.limits.request_timeout);
  co_await connection.transport.write_all(base::as_bytes(message));
}

// A body of any size, piece by piece: the next one is made when the client has taken the last.
asio::awaitable<void> write_stream(Connection& connection, const Response& response,
                                   bool keep_alive) {
  bool is_chunked = !response.stream_size;
  std::string head = head_of(response, keep_alive);
  head += is_chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                     : fmt::format("Content-Length: {}\r\n\r\n", *response.stream_size);
  connection.transport.set_deadline(connection.services.limits.request_timeout);
  co_await connection.transport.write_all(base::as_bytes(head));
  auto next = [&]() -> asio::awaitable<std::string> {
    try {
      co_return response.stream();
    } catch (const std::exception& error) {
      base::log().warn("an answer to {} ends before its end: {}", connection.peer.address,
                       error.what());
      throw;
    }
  };
  for (uint64_t written = 0;;) {
    connection.transport.set_deadline(std::nullopt);  // the stream has deadlines of its own
    std::string piece =
        co_await asio::co_spawn(connection.services.handlers, next(), asio::use_awaitable);
    bool is_end = piece.empty();
    written += piece.size();
    if (!is_chunked &&
        (is_end ? written != *response.stream_size : written > *response.stream_size))
      throw Error(ErrorCode::io, "an answer's body has another length than was said");
    connection.transport.set_deadline(connection.services.limits.request_timeout);
    if (is_chunked) piece = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    if (!piece.empty()) co_await connection.transport.write_all(base::as_bytes(piece));
    if (is_end) co_return;
  }
}

std::string field_text(const Parser& parser, http::field field) {
  auto value = parser.get()[field];
  return std::string(value.data(), value.size());
}

Request make_request(Parser& parser) {
  auto& message = parser.get();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.range = field_text(parser, http::field::range);
  request.accepts_gzip =
      http::token_list(field_text(parser, http::field::accept_encoding)).exists("gzip");
  request.body = std::move(message.body());
  return request;
}

Response describe_parse_failure(const beast::error_code& failure) {
  Response response;
  if (failure == http::error::header_limit) {
    response =
        error_response(Error(ErrorCode::invalid_argument, "the request's header is too large"));
    response.status = 431;
  } else if (failure == http::error::body_limit) {
    response = error_response(
        Error(ErrorCode::invalid_argument,
              fmt::format("the request's body is larger than {} bytes", kMaxBodySize)));
    response.status = 413;
  } else {
    response = error_response(Error(ErrorCode::invalid_argument,
                                    "this is not an HTTP/1.1 request: " + failure.message()));
  }
  return response;
}

// If a peer is refused while it is still sending, its connection would be reset before it reads the
// answer: so its data is read for a moment, and discarded.
asio::awaitable<void> refuse(Connection& connection, const Response& response) {
  co_await write_response(connection, response, false);
  connection.transport.set_deadline(kLingerTime);
  std::array<uint8_t, kReadSize> block;
  for (size_t taken = 0; taken < kLingerSize;) {
    size_t count = co_await connection.transport.read_some(block);
    if (count == 0) break;
    taken += count;
  }
}

enum class Parsed { complete, ended, refused };

// Feeds the parser until `done()` is true. The first byte may take the idle timeout, all others
// together the request timeout. `refused`: an answer was written.
asio::awaitable<Parsed> parse(Connection& connection, Parser& parser, std::function<bool()> done) {
  const ServerLimits& limits = connection.services.limits;
  std::array<uint8_t, kReadSize> block;
  while (!done()) {
    beast::error_code failure = http::error::need_more;
    if (!connection.pending.empty()) {
      size_t used = parser.put(asio::buffer(connection.pending), failure);
      connection.pending.erase(0, used);
      if (!failure && used > 0) continue;
    }
    if (failure && failure != http::error::need_more) {
      co_await refuse(connection, describe_parse_failure(failure));
      co_return Parsed::refused;
    }
    bool first = connection.pending.empty() && !parser.got_some();
    if (first) {
      connection.transport.set_deadline(connection.slot.principal.empty() ? limits.stranger_timeout
                                                                          : limits.idle_timeout);
    }
    size_t count = co_await connection.transport.read_some(block);
    if (count == 0) co_return Parsed::ended;
    if (first) connection.transport.set_deadline(limits.request_timeout);
    connection.pending.append(reinterpret_cast<const char*>(block.data()), count);
  }
  co_return Parsed::complete;
}

bool is_to(const Parser& parser, std::string_view path) {
  return path_of(std::string_view(parser.get().target().data(), parser.get().target().size())) ==
         path;
}

bool wants_transfer(const Parser& parser) {
  return beast::iequals(parser.get()[http::field::upgrade], base::kTransferProtocol) &&
         (parser.get().target() == base::kTransferPath || is_to(parser, base::kImportPath) ||
          is_to(parser, base::kFetchPath));
}

// Who sends this request, as its headers say.
RequestProof proof_of(const Parser& parser) {
  auto method = parser.get().method();
  RequestProof proof;
  proof.authorization = field_text(parser, http::field::authorization);
  proof.cookie = field_text(parser, http::field::cookie);
  proof.origin = field_text(parser, http::field::origin);
  proof.host = field_text(parser, http::field::host);
  proof.is_guarded = (method != http::verb::get && method != http::verb::head) ||
                     beast::iequals(parser.get()[http::field::upgrade], "websocket");
  return proof;
}

access::Privilege needed_for_transfer(const Parser& parser) {
  if (is_to(parser, base::kImportPath)) return access::Privilege::machine_import;
  if (is_to(parser, base::kFetchPath)) return access::Privilege::point_fetch;
  return access::Privilege::host_work;
}

// What an operator's connection, or that of a rescue session, is for. Throws unauthorized for a
// tenant outside of its scope.
void complete(Principal& principal, const Parser& parser) {
  Request request;
  request.target = std::string(parser.get().target());
  request.query = parse_target(request.target).query;
  request.principal = principal;
  if (is_to(parser, base::kImportPath)) principal.imports_into = request.tenant();
  if (is_to(parser, base::kFetchPath))
    principal.fetches = {request.tenant(), request.query_value("point")};
}

// The principal that upgrades. Throws the reason if it is refused.
asio::awaitable<Principal> require_sender(Connection& connection, const Parser& parser) {
  RequestProof proof = proof_of(parser);
  proof.is_guarded = true;  // a browser has no business here
  auto authenticate = [&]() -> asio::awaitable<Principal> {
    co_return connection.services.authenticator.authenticate(connection.peer, proof);
  };
  Principal principal =
      co_await asio::co_spawn(connection.services.handlers, authenticate(), asio::use_awaitable);
  require_privilege(principal, needed_for_transfer(parser));
  complete(principal, parser);
  if (parser.get().method() != http::verb::get || !connection.pending.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "upgrade with GET, and send nothing before the answer 101");
  }
  co_return principal;
}

// Hands the connection over to the transfer protocol. Returns an answer if it stays HTTP.
asio::awaitable<std::optional<Response>> upgrade(Connection& connection, const Parser& parser) {
  ConnectionServices& services = connection.services;
  Principal principal;
  try {
    principal = co_await require_sender(connection, parser);
  } catch (const Error& error) {
    base::log().warn("transfer from {} refused: {}", connection.peer.address, error.message());
    bool is_stranger = dynamic_cast<const MissingCredentials*>(&error) != nullptr;
    co_return is_stranger ? challenge(error) : error_response(error);
  }
  HandOver hand_over;
  std::optional<Response> refusal;
  try {
    if (principal.host && !services.agents.admit(principal.host->id.hex())) {
      if (services.misconduct)
        services.misconduct(*principal.host,
                            {"requests", "it sends requests faster than they are answered"});
      co_return too_often();
    }
    hand_over = services.reserve_upgrade(principal);
  } catch (const Error& error) {
    refusal = error_response(error);
    refusal->status = 503;
    refusal->headers["Retry-After"] = "15";
  }
  if (refusal) co_return refusal;
  connection.transport.set_deadline(services.limits.request_timeout);
  std::string message =
      fmt::format("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n",
                  base::kTransferProtocol);
  co_await connection.transport.write_all(base::as_bytes(message));
  connection.slot.transport = nullptr;
  hand_over(connection.transport.detach(), std::move(principal));
  co_return std::nullopt;
}

enum class Next { another, close, gone };

// Why the connection cannot be taken over; none: it can.
std::optional<Response> obstacle_to(const Connection& connection, const Parser& parser,
                                    TakeoverKind kind) {
  const ConnectionServices& services = connection.services;
  const ServerLimits& limits = services.limits;
  const TakenOver& taken = *services.taken_over;
  if (!connection.pending.empty()) {
    return error_response(
        Error(ErrorCode::invalid_argument, "send nothing before the answer has begun"));
  }
  if (kind == TakeoverKind::live_answer) {
    auto own = taken.live_of.find(connection.slot.principal);
    bool is_full = taken.live_count >= limits.live_answers ||
                   (own != taken.live_of.end() && own->second >= limits.live_answers_of_principal);
    if (!is_full) return std::nullopt;
    return error_response(
        Error(ErrorCode::unavailable, "too many live answers are open already: close one first"));
  }
  if (!beast::websocket::is_upgrade(parser.get())) {
    Response refusal =
        error_response(Error(ErrorCode::invalid_argument, "this is only for WebSockets"));
    refusal.status = 426;
    refusal.headers["Upgrade"] = "websocket";
    return refusal;
  }
  if (taken.websocket_count < limits.websockets) return std::nullopt;
  return error_response(
      Error(ErrorCode::unavailable,
            fmt::format("{} WebSockets are already open: close one first", limits.websockets)));
}

// Counts a connection that was taken over, for as long as it exists.
class TakenPlace {
 public:
  TakenPlace(std::shared_ptr<TakenOver> all, TakeoverKind kind, std::string principal)
      : all_(std::move(all)), kind_(kind), principal_(std::move(principal)) {
    if (kind_ == TakeoverKind::websocket) {
      ++all_->websocket_count;
      return;
    }
    ++all_->live_of[principal_];
    ++all_->live_count;
  }
  ~TakenPlace() {
    if (kind_ == TakeoverKind::websocket) {
      --all_->websocket_count;
      return;
    }
    --all_->live_count;
    auto own = all_->live_of.find(principal_);
    if (--own->second == 0) all_->live_of.erase(own);
  }
  TakenPlace(const TakenPlace&) = delete;
  TakenPlace& operator=(const TakenPlace&) = delete;

 private:
  const std::shared_ptr<TakenOver> all_;
  const TakeoverKind kind_;
  const std::string principal_;
};

// Throws unauthorized if the peer is no longer who it was when its request was answered.
asio::awaitable<void> expect_same_principal(Connection& connection, const RequestProof& proof) {
  auto authenticate = [&]() -> asio::awaitable<Principal> {
    co_return connection.services.authenticator.authenticate(connection.peer, proof);
  };
  Principal now =
      co_await asio::co_spawn(connection.services.handlers, authenticate(), asio::use_awaitable);
  if (key_of(now) != connection.slot.principal)
    throw Error(ErrorCode::unauthorized, "its credentials no longer count");
}

// Leaves the connection to what takes it over, to its end.
asio::awaitable<Next> take_over(Connection& connection, const Parser& parser, Takeover& takeover) {
  ConnectionServices& services = connection.services;
  std::optional<Response> refusal = obstacle_to(connection, parser, takeover.kind());
  if (!refusal) {
    TakenPlace place(services.taken_over, takeover.kind(), connection.slot.principal);
    RequestProof proof = proof_of(parser);
    asio::any_io_executor executor = co_await asio::this_coro::executor;
    TakeoverTools tools{executor, services.handlers, services.limits.request_timeout,
                        [&] { return expect_same_principal(connection, proof); }};
    try {
      co_await takeover.serve(connection.transport, tools, parser.get());
      co_return Next::gone;
    } catch (const Error& error) {
      base::log().warn("a WebSocket for {} was not opened: {}", connection.peer.address,
                       error.message());
      refusal = error_response(error);
    }
  }
  co_await write_response(connection, *refusal, false);
  co_return Next::close;
}

// Reads one request and answers it.
asio::awaitable<Next> serve_request(Connection& connection) {
  Parser parser;
  parser.header_limit(kMaxHeaderSize);
  parser.body_limit(kMaxBodySize);
  Parsed parsed = co_await parse(connection, parser, [&] { return parser.is_header_done(); });
  if (parsed == Parsed::complete && wants_transfer(parser)) {
    std::optional<Response> refusal = co_await upgrade(connection, parser);
    if (!refusal) co_return Next::gone;
    co_await write_response(connection, *refusal, false);
    co_return Next::close;
  }
  if (parsed == Parsed::complete)
    parsed = co_await parse(connection, parser, [&] { return parser.is_done(); });
  if (parsed != Parsed::complete) co_return Next::close;

  bool keep_alive = parser.get().keep_alive();
  RequestProof proof = proof_of(parser);
  auto work = [&]() -> asio::awaitable<RoutedResponse> {
    co_return answer(connection.services, connection.peer, connection.slot.address, proof,
                     make_request(parser));
  };
  connection.transport.set_deadline(std::nullopt);  // the handler has deadlines of its own
  RoutedResponse answered =
      co_await asio::co_spawn(connection.services.handlers, work(), asio::use_awaitable);
  Response& response = answered.response;
  if (connection.slot.principal != answered.principal) {
    connection.slot.principal = answered.principal;
    if (!connection.services.has_room(connection.slot)) {
      co_await refuse(connection, too_often());
      co_return Next::close;
    }
  }
  if (response.takeover) co_return co_await take_over(connection, parser, *response.takeover);
  if (response.stream) {
    co_await write_stream(connection, response, keep_alive);
  } else {
    co_await write_response(connection, response, keep_alive);
  }
  co_return keep_alive ? Next::another : Next::close;
}

}  // namespace

asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport,
                                       ConnectionServices& services, ConnectionSlot& slot) {
  slot.transport = transport.get();
  std::unique_ptr<ConnectionSlot, void (*)(ConnectionSlot*)> leaving(
      &slot, [](ConnectionSlot* left) { left->transport = nullptr; });
  try {
    Connection connection{*transport, services, slot, {}, {}};
    transport->set_deadline(services.limits.handshake_timeout);
    connection.peer = co_await transport->open();
    Next next = Next::another;
    while (next == Next::another) next = co_await serve_request(connection);
    if (next == Next::gone) co_return;
    transport->set_deadline(services.limits.handshake_timeout);
    co_await transport->close();
  } catch (const std::exception& failure) {
    // Peers come and go; a handshake that fails is described in TLS's own error message.
    base::log().debug("a connection ended: {}", failure.what());
  }
}

}  // namespace appliance::api
