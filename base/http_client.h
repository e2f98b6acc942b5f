// A small client for JSON over HTTP/1.1, and for connections that HTTP upgrades to another
// protocol. One connection per request. Thread-safe: an object holds only how to connect. Errors:
// unavailable (no answer, the answer stops, timeout), unauthorized (TLS refused), corrupt (the
// answer is not HTTP or larger than the limits). An answer with status 4xx or 5xx is not an error
// here.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_stream.h"
#include "base/error.h"
#include "base/socket_stream.h"
#include "base/tls_context.h"

namespace base {

constexpr uint64_t kMaxHttpBody = 64ull << 20;  // of an answer, bytes
constexpr uint32_t kMaxHttpHeader = 16 << 10;   // of an answer, bytes

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // "/api/v1/machines?limit=5", already encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // sent as application/json unless a header says otherwise; empty: none
};

struct HttpResponse {
  int status = 0;
  std::string content_type;
  std::string body;
  std::string job;  // the header Muletto-Job: the number of the job that the answer is
};

class HttpClient {
 public:
  using Connect = std::function<std::unique_ptr<ByteStream>()>;

  // `host` is the value of the Host header. `timeout` is how long the server may be silent.
  HttpClient(Connect connect, std::string host, std::chrono::milliseconds timeout = kStreamTimeout)
      : connect_(std::move(connect)), host_(std::move(host)), timeout_(timeout) {}

  // Over TLS, with the client certificate of the context if it has one.
  static HttpClient over_tls(const Endpoint& endpoint, const TlsContext& context,
                             std::chrono::milliseconds timeout = kStreamTimeout);
  // Over a unix socket, unencrypted.
  static HttpClient over_unix(const std::string& path,
                              std::chrono::milliseconds timeout = kStreamTimeout);

  HttpResponse send(const HttpRequest& request) const;

  // For an answer that may have no end: each piece of its body goes to `on_piece` as it arrives,
  // until the answer ends or `on_piece` returns false. The result has no body then. The body of an
  // answer with status 4xx or 5xx is in the result, and `on_piece` is not called.
  HttpResponse follow(const HttpRequest& request,
                      const std::function<bool(std::string_view)>& on_piece) const;

  // Requests the protocol and, if the server agrees (101), returns the connection. If it does not,
  // `refusal` gets the server's answer and returns the error to throw.
  std::unique_ptr<ByteStream> upgrade(
      const HttpRequest& request, const std::string& protocol,
      const std::function<Error(const HttpResponse&)>& refusal) const;

 private:
  Connect connect_;
  std::string host_;
  std::chrono::milliseconds timeout_;
};

}  // namespace base
