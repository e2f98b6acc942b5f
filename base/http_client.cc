#include "base/http_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/error.h"
#include "base/tls_stream.h"

namespace base {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

// Adapts a ByteStream to what Beast calls a SyncReadStream and a SyncWriteStream. A ByteStream's
// errors are thrown through Beast, because they say more than an error code.
class BeastStream {
 public:
  BeastStream(ByteStream& stream, std::chrono::milliseconds timeout)
      : stream_(stream), timeout_(timeout) {}

  template <typename Buffers>
  size_t read_some(const Buffers& buffers, beast::error_code& problem) {
    for (auto place = asio::buffer_sequence_begin(buffers);
         place != asio::buffer_sequence_end(buffers); ++place) {
      asio::mutable_buffer buffer(*place);
      if (buffer.size() == 0) continue;
      size_t count =
          stream_.read_some({static_cast<uint8_t*>(buffer.data()), buffer.size()}, timeout_);
      if (count == 0) problem = asio::error::eof;
      return count;
    }
    return 0;
  }

  template <typename Buffers>
  size_t write_some(const Buffers& buffers, beast::error_code&) {
    size_t count = 0;
    for (auto place = asio::buffer_sequence_begin(buffers);
         place != asio::buffer_sequence_end(buffers); ++place) {
      asio::const_buffer buffer(*place);
      stream_.write_all({static_cast<const uint8_t*>(buffer.data()), buffer.size()}, timeout_);
      count += buffer.size();
    }
    return count;
  }

  // Beast also requires the forms that throw.
  template <typename Buffers>
  size_t read_some(const Buffers& buffers) {
    beast::error_code problem;
    size_t count = read_some(buffers, problem);
    if (problem) throw beast::system_error(problem);
    return count;
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers) {
    beast::error_code problem;
    return write_some(buffers, problem);
  }

 private:
  ByteStream& stream_;
  std::chrono::milliseconds timeout_;
};

bool is_plain_header(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

http::request<http::string_body> to_beast(const HttpRequest& request, const std::string& host) {
  http::request<http::string_body> out;
  http::verb method = http::string_to_verb(request.method);
  bool good = method != http::verb::unknown && request.path.starts_with('/') &&
              is_plain_header(request.path) && request.path.find(' ') == std::string::npos;
  if (!good) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{} {}' is no request", request.method, request.path));
  }
  out.method(method);
  out.target(request.path);
  out.version(11);
  out.set(http::field::host, host);
  out.set(http::field::user_agent, "muletto/" MULETTO_VERSION);
  if (!request.body.empty()) out.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : request.headers) {
    if (!is_plain_header(name) || !is_plain_header(value)) {
      throw Error(ErrorCode::invalid_argument,
                  "the header '" + name + "' has characters that HTTP does not allow");
    }
    out.set(name, value);
  }
  out.body() = request.body;
  out.prepare_payload();
  return out;
}

HttpResponse to_response(http::response<http::string_body>&& answer) {
  HttpResponse response;
  response.status = static_cast<int>(answer.result_int());
  response.content_type = std::string(answer[http::field::content_type]);
  response.job = std::string(answer["Muletto-Job"]);
  response.body = std::move(answer.body());
  return response;
}

[[noreturn]] void fail_answer(const beast::error_code& problem, const std::string& peer) {
  if (problem == http::error::end_of_stream || problem == http::error::partial_message) {
    throw Error(ErrorCode::unavailable, peer + " ended the connection without a complete answer");
  }
  throw Error(ErrorCode::corrupt,
              fmt::format("the answer of {} is not valid HTTP: {}", peer, problem.message()));
}

// The answer, and in `buffer` any bytes that followed it.
HttpResponse read_answer(BeastStream& stream, beast::flat_buffer& buffer, http::verb method,
                         const std::string& peer) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxHttpBody);
  parser.header_limit(kMaxHttpHeader);
  parser.skip(method == http::verb::head);
  beast::error_code problem;
  http::read(stream, buffer, parser, problem);
  if (problem) fail_answer(problem, peer);
  return to_response(parser.release());
}

}  // namespace

HttpClient HttpClient::over_tls(const Endpoint& endpoint, const TlsContext& context,
                                std::chrono::milliseconds timeout) {
  return HttpClient([=] { return connect_tls(endpoint, context); }, endpoint.text(), timeout);
}

HttpClient HttpClient::over_unix(const std::string& path, std::chrono::milliseconds timeout) {
  return HttpClient([=] { return std::make_unique<SocketStream>(connect_unix(path)); }, "localhost",
                    timeout);
}

HttpResponse HttpClient::send(const HttpRequest& request) const {
  http::request<http::string_body> message = to_beast(request, host_);
  message.keep_alive(false);
  std::unique_ptr<ByteStream> connection = connect_();
  BeastStream stream(*connection, timeout_);
  beast::error_code problem;
  http::write(stream, message, problem);
  beast::flat_buffer buffer;
  HttpResponse response = read_answer(stream, buffer, message.method(), connection->peer());
  connection->finish();
  return response;
}

HttpResponse HttpClient::follow(const HttpRequest& request,
                                const std::function<bool(std::string_view)>& on_piece) const {
  http::request<http::string_body> message = to_beast(request, host_);
  message.keep_alive(false);
  std::unique_ptr<ByteStream> connection = connect_();
  BeastStream stream(*connection, timeout_);
  beast::error_code problem;
  http::write(stream, message, problem);
  beast::flat_buffer buffer;
  http::response_parser<http::empty_body> head;
  head.header_limit(kMaxHttpHeader);
  head.body_limit(boost::none);
  http::read_header(stream, buffer, head, problem);
  if (problem) fail_answer(problem, connection->peer());
  if (head.get().result_int() >= 400) {
    http::response_parser<http::string_body> whole(std::move(head));
    whole.body_limit(kMaxHttpBody);
    http::read(stream, buffer, whole, problem);
    if (problem) fail_answer(problem, connection->peer());
    return to_response(whole.release());
  }
  http::response_parser<http::buffer_body> body(std::move(head));
  std::array<char, 16 << 10> block;
  while (!body.is_done()) {
    body.get().body().data = block.data();
    body.get().body().size = block.size();
    http::read_some(stream, buffer, body, problem);
    if (problem == http::error::need_buffer) problem = {};
    if (problem) fail_answer(problem, connection->peer());
    std::string_view piece(block.data(), block.size() - body.get().body().size);
    if (!piece.empty() && !on_piece(piece)) break;
  }
  HttpResponse response;
  response.status = static_cast<int>(body.get().result_int());
  response.content_type = std::string(body.get()[http::field::content_type]);
  response.job = std::string(body.get()["Muletto-Job"]);
  return response;
}

std::unique_ptr<ByteStream> HttpClient::upgrade(
    const HttpRequest& request, const std::string& protocol,
    const std::function<Error(const HttpResponse&)>& refusal) const {
  http::request<http::string_body> message = to_beast(request, host_);
  message.set(http::field::connection, "Upgrade");
  message.set(http::field::upgrade, protocol);
  std::unique_ptr<ByteStream> connection = connect_();
  BeastStream stream(*connection, timeout_);
  beast::error_code problem;
  http::write(stream, message, problem);
  beast::flat_buffer buffer;
  HttpResponse response = read_answer(stream, buffer, message.method(), connection->peer());
  if (response.status != 101) throw refusal(response);
  auto rest = buffer.data();
  const auto* first = static_cast<const uint8_t*>(rest.data());
  return with_prefix(std::move(connection), Bytes(first, first + rest.size()));
}

}  // namespace base
