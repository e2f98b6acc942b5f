#include "base/http_client.h"

#include <catch2/catch.hpp>
#include <thread>

#include "base/error.h"
#include "tests/base/tls_pair.h"

namespace {

using base::Bytes;
using base::ErrorCode;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

// Serves one connection: reads until the head's end and `body_size` bytes of a body, answers with
// fixed bytes, and ends.
class OneAnswer {
 public:
  OneAnswer(std::string answer, size_t body_size) {
    auto [mine, theirs] = base::make_stream_pair();
    theirs_ = std::move(theirs);
    thread_ = std::thread([this, stream = std::move(mine), answer, body_size] {
      uint8_t byte;
      size_t end = std::string::npos;
      while (end == std::string::npos || request_.size() < end + 4 + body_size) {
        if (stream->read_some({&byte, 1}) == 0) return;
        request_.push_back(static_cast<char>(byte));
        end = request_.find("\r\n\r\n");
      }
      stream->write_all(base::as_bytes(answer));
      stream->finish();
    });
  }
  ~OneAnswer() {
    theirs_.reset();
    if (thread_.joinable()) thread_.join();
  }

  base::HttpClient client() {
    return base::HttpClient([this] { return std::move(theirs_); }, "spare:7443");
  }
  std::string request() {
    thread_.join();
    return request_;
  }

 private:
  std::unique_ptr<base::ByteStream> theirs_;
  std::string request_;
  std::thread thread_;
};

ErrorCode code_of_send(const std::string& answer) {
  OneAnswer server(answer, 0);
  try {
    server.client().send({"GET", "/x", {}, ""});
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

TEST_CASE("a request and its answer", "[http]") {
  OneAnswer server(
      "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "
      "7\r\n\r\n{\"a\":1}",
      8);
  base::HttpResponse response = server.client().send(
      {"POST", "/api/v1/things?x=1", {{"Authorization", "Bearer t"}}, "{\"b\": 2}"});
  CHECK(response.status == 201);
  CHECK(response.content_type == "application/json");
  CHECK(response.body == "{\"a\":1}");
  std::string request = server.request();
  CHECK_THAT(request, StartsWith("POST /api/v1/things?x=1 HTTP/1.1\r\n"));
  CHECK_THAT(request, Contains("Host: spare:7443\r\n"));
  CHECK_THAT(request, Contains("Authorization: Bearer t\r\n"));
  CHECK_THAT(request, Contains("Content-Length: 8\r\n"));
  CHECK_THAT(request, Contains("Connection: close\r\n"));
}

TEST_CASE("answers that are none", "[http]") {
  CHECK(code_of_send("") == ErrorCode::unavailable);
  CHECK(code_of_send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") == ErrorCode::unavailable);
  CHECK(code_of_send("SSH-2.0-OpenSSH_9.2\r\n\r\n") == ErrorCode::corrupt);
  CHECK(code_of_send("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x') + "\r\n\r\n") ==
        ErrorCode::corrupt);
  CHECK(code_of_send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n") ==
        ErrorCode::corrupt);
}

TEST_CASE("headers cannot smuggle lines", "[http]") {
  OneAnswer server("", 0);
  CHECK_THROWS_AS(server.client().send({"GET", "/", {{"A", "b\r\nC: d"}}, ""}), base::Error);
  CHECK_THROWS_AS(server.client().send({"GET", "/a b", {}, ""}), base::Error);
  CHECK_THROWS_AS(server.client().send({"GE T", "/", {}, ""}), base::Error);
}

TEST_CASE("upgrade gives the connection with what came after the answer", "[http]") {
  OneAnswer server(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: p/1\r\n\r\nhello", 0);
  auto refusal = [](const base::HttpResponse&) { return base::Error(ErrorCode::io, "refused"); };
  auto stream = server.client().upgrade({"GET", "/t", {}, ""}, "p/1", refusal);
  Bytes greeting(5);
  REQUIRE(base::read_exactly(*stream, greeting));
  CHECK(base::as_text(greeting) == "hello");
  CHECK(stream->read_some(greeting) == 0);
  CHECK_THAT(server.request(), Contains("Upgrade: p/1\r\n"));
}

TEST_CASE("a refused upgrade becomes the caller's error", "[http]") {
  OneAnswer server("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 0);
  auto refusal = [](const base::HttpResponse& response) {
    return base::Error(ErrorCode::unauthorized, std::to_string(response.status) + response.body);
  };
  CHECK_THROWS_WITH(server.client().upgrade({"GET", "/t", {}, ""}, "p/1", refusal), "403no");
}

}  // namespace
