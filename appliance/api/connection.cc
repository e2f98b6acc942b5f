#include "appliance/api/connection.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>

#include "appliance/api/errors.h"
#include "base/log.h"
#include "base/tls_stream.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using base::Error;
using base::ErrorCode;

using LocalStream = beast::basic_stream<asio::local::stream_protocol>;
using SecureStream = asio::ssl::stream<beast::tcp_stream>;
using Parser = http::request_parser<http::string_body>;

constexpr int kHttp11 = 11;

// One connection while it is served.
template <typename Stream>
struct Connection {
  Stream& stream;
  ConnectionServices& services;
  PeerFacts peer;
  beast::flat_buffer buffer{kMaxHeaderSize + kMaxBodySize};

  void set_deadline(std::chrono::seconds timeout) { beast::get_lowest_layer(stream).expires_after(timeout); }
};

template <typename Stream>
asio::awaitable<void> write_response(Connection<Stream>& connection, const Response& response, bool keep_alive) {
  http::response<http::string_body> message;
  message.version(kHttp11);
  message.result(static_cast<unsigned>(response.status));
  message.set(http::field::server, "mulettod");
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive);
  message.body() = response.body;
  message.prepare_payload();
  connection.set_deadline(connection.services.limits.request_timeout);
  co_await http::async_write(connection.stream, message, asio::use_awaitable);
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
  request.body = std::move(message.body());
  return request;
}

// Blocking work: SQLite, the store, libvirt. Runs on the handlers' pool.
Response answer(ConnectionServices& services, const PeerFacts& peer, const std::string& authorization,
                Request request) {
  try {
    request.principal = services.authenticator.authenticate(peer, authorization);
  } catch (const Error& error) {
    base::log().warn("{} {} from {} refused: {}", request.method, request.target, peer.address, error.message());
    return error_response(error);
  } catch (const std::exception& error) {
    return error_response(Error(ErrorCode::io, "unexpected failure; see the daemon's log"));
  }
  std::string line = fmt::format("{} {} by {}", request.method, request.target,
                                 request.principal.name.empty() ? "a stranger" : request.principal.name);
  Response response = services.router.handle(std::move(request));
  base::log().debug("{} from {}: {}", line, peer.address, response.status);
  return response;
}

// What to tell a peer whose request could not be read; nothing if it just went away.
std::optional<Response> describe_failure(const beast::error_code& failure) {
  Response response;
  if (failure == http::error::header_limit) {
    response = error_response(Error(ErrorCode::invalid_argument, "the request's header is too large"));
    response.status = 431;
  } else if (failure == http::error::body_limit) {
    response = error_response(
        Error(ErrorCode::invalid_argument, fmt::format("the request's body is larger than {} bytes", kMaxBodySize)));
    response.status = 413;
  } else if (failure == http::error::end_of_stream || failure == http::error::partial_message) {
    return std::nullopt;
  } else if (failure.category() == http::make_error_code(http::error::bad_method).category()) {
    response = error_response(Error(ErrorCode::invalid_argument, "this is no HTTP/1.1 request: " + failure.message()));
  } else {
    return std::nullopt;
  }
  return response;
}

bool wants_transfer(const Parser& parser) {
  return beast::iequals(parser.get()[http::field::upgrade], kTransferProtocol) &&
         parser.get().target() == kTransferPath;
}

// Turns the connection over to the transfer protocol. The answer if it stays HTTP.
asio::awaitable<std::optional<Response>> upgrade(Connection<SecureStream>& connection, Parser& parser) {
  ConnectionServices& services = connection.services;
  std::string authorization = field_text(parser, http::field::authorization);
  std::optional<Error> refusal;
  Principal principal;
  try {
    auto authenticate = [&]() -> asio::awaitable<Principal> {
      co_return services.authenticator.authenticate(connection.peer, authorization);
    };
    principal = co_await asio::co_spawn(services.handlers, authenticate(), asio::use_awaitable);
    expect_access(principal, Access::agents);
    if (parser.get().method() != http::verb::get || connection.buffer.size() > 0) {
      throw Error(ErrorCode::invalid_argument, "upgrade with GET, and send nothing before the answer 101");
    }
  } catch (const Error& error) {
    refusal = error;
  }
  if (refusal) co_return error_response(*refusal);
  auto hand_over = services.reserve_upgrade();
  if (!hand_over) {
    Response response = error_response(Error(
        ErrorCode::busy, fmt::format("{} agents stream already; try again later", services.limits.upgraded_connections)));
    response.status = 503;
    response.headers["Retry-After"] = "15";
    co_return response;
  }
  http::response<http::empty_body> message{http::status::switching_protocols, kHttp11};
  message.set(http::field::connection, "Upgrade");
  message.set(http::field::upgrade, kTransferProtocol);
  connection.set_deadline(services.limits.request_timeout);
  co_await http::async_write(connection.stream, message, asio::use_awaitable);

  auto& layer = beast::get_lowest_layer(connection.stream);
  layer.expires_never();
  base::UniqueFd socket(layer.release_socket().release());
  hand_over(base::adopt_tls(connection.stream.native_handle(), std::move(socket)), std::move(principal));
  co_return std::nullopt;
}

asio::awaitable<std::optional<Response>> upgrade(Connection<LocalStream>&, Parser&) {
  co_return error_response(Error(ErrorCode::unsupported, "the transfer protocol is spoken on the TLS port only"));
}

enum class Next { another, close, gone };

// Reads one request and answers it. Beast's failures are thrown as system_error.
template <typename Stream>
asio::awaitable<Next> serve_request(Connection<Stream>& connection) {
  const ServerLimits& limits = connection.services.limits;
  Parser parser;
  parser.header_limit(kMaxHeaderSize);
  parser.body_limit(kMaxBodySize);
  beast::error_code failure;
  auto catching = asio::redirect_error(asio::use_awaitable, failure);

  connection.set_deadline(limits.idle_timeout);
  if (connection.buffer.size() == 0) {
    auto space = connection.buffer.prepare(4096);
    connection.buffer.commit(co_await connection.stream.async_read_some(space, catching));
    if (failure) co_return Next::close;
  }
  connection.set_deadline(limits.request_timeout);
  co_await http::async_read_header(connection.stream, connection.buffer, parser, catching);
  if (!failure && wants_transfer(parser)) {
    std::optional<Response> refusal = co_await upgrade(connection, parser);
    if (!refusal) co_return Next::gone;
    co_await write_response(connection, *refusal, false);
    co_return Next::close;
  }
  if (!failure) co_await http::async_read(connection.stream, connection.buffer, parser, catching);
  if (failure) {
    if (auto response = describe_failure(failure)) co_await write_response(connection, *response, false);
    co_return Next::close;
  }
  bool keep_alive = parser.get().keep_alive();
  std::string authorization = field_text(parser, http::field::authorization);
  auto work = [&]() -> asio::awaitable<Response> {
    co_return answer(connection.services, connection.peer, authorization, make_request(parser));
  };
  beast::get_lowest_layer(connection.stream).expires_never();  // the handler has deadlines of its own
  Response response = co_await asio::co_spawn(connection.services.handlers, work(), asio::use_awaitable);
  co_await write_response(connection, response, keep_alive);
  co_return keep_alive ? Next::another : Next::close;
}

template <typename Stream>
asio::awaitable<Next> serve_requests(Connection<Stream>& connection) {
  Next next = Next::another;
  while (next == Next::another) next = co_await serve_request(connection);
  co_return next;
}

}  // namespace

asio::awaitable<void> serve_tls(asio::ip::tcp::socket socket, asio::ssl::context& tls,
                                ConnectionServices& services) {
  SecureStream stream(beast::tcp_stream(std::move(socket)), tls);
  try {
    auto& layer = beast::get_lowest_layer(stream);
    layer.socket().set_option(asio::ip::tcp::no_delay(true));
    Connection<SecureStream> connection{stream, services, {}};
    connection.peer.address = base::peer_address(layer.socket().native_handle());
    connection.set_deadline(services.limits.handshake_timeout);
    co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
    if (auto certificate = base::peer_certificate_of(stream.native_handle())) {
      connection.peer.certificate_serial = certificate->serial;
    }
    if (co_await serve_requests(connection) == Next::gone) co_return;
    connection.set_deadline(services.limits.handshake_timeout);
    co_await stream.async_shutdown(asio::use_awaitable);
  } catch (const std::exception& failure) {
    // Peers come and go; a handshake that fails tells its story in TLS's own words.
    base::log().debug("a connection ended: {}", failure.what());
  }
}

asio::awaitable<void> serve_local(asio::local::stream_protocol::socket socket, ConnectionServices& services) {
  LocalStream stream(std::move(socket));
  try {
    Connection<LocalStream> connection{stream, services, {}};
    connection.peer.local_root = true;
    connection.peer.address = "local socket";
    co_await serve_requests(connection);
  } catch (const std::exception& failure) {
    base::log().debug("a local connection ended: {}", failure.what());
  }
}

}  // namespace appliance::api
