#include "appliance/api/http/server.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <list>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "appliance/api/http/live_answer.h"
#include "appliance/catalog/catalog.h"
#include "appliance/pki/authority.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/scratch_directory.h"
#include "base/tls_stream.h"
#include "base/transfer_upgrade.h"

namespace appliance::api {
namespace {

using namespace std::chrono_literals;

// A server with one route for each kind of visitor, and an upgrade that echoes.
class Fixture {
 public:
  explicit Fixture(ServerLimits limits = quick_limits()) {
    auto answer = [](const Request& request) { return json_response({{"body", request.body}}); };
    router_.add({"POST", "/api/v1/echo", Privilege::none, Resource::nothing, answer});
    router_.add({"GET", "/api/v1/status", Privilege::machine_view, Resource::tenant, answer});
    router_.add(
        {"GET", "/api/v1/download/{pieces}", Privilege::machine_view, Resource::tenant, download});
    router_.add({"GET", "/api/v1/live/{kind}", Privilege::machine_view, Resource::tenant,
                 [this](const Request& request) { return live(request); }});
    enroll();
    ServerOptions options;
    options.listen = {"127.0.0.1", 0};
    options.socket_path = socket_path();
    options.limits = limits;
    options.misconduct = [this](const catalog::Host&, const alerts::Misconduct& misconduct) {
      complaints.insert(misconduct.what);
    };
    server_ = std::make_unique<Server>(
        options, router_, authenticator_, authority_->server_context({}),
        [this](base::ByteStream& stream, const Principal&) { echo(stream); });
    server_->start();
  }

  static ServerLimits quick_limits() {
    ServerLimits limits;
    limits.upgraded_connections = 1;
    limits.handshake_timeout = 1s;
    limits.request_timeout = 1s;
    limits.idle_timeout = 1s;
    return limits;
  }

  base::Endpoint endpoint() const { return {"127.0.0.1", server_->port()}; }
  std::string socket_path() const { return scratch_.path() + "/api.sock"; }
  base::HttpClient local() const { return base::HttpClient::over_unix(socket_path()); }
  base::HttpClient stranger() const { return over_tls({}); }
  base::HttpClient agent() const { return over_tls({certificate_, key_}); }
  std::unique_ptr<base::ByteStream> upgrade() const {
    base::HttpRequest request;
    request.path = base::kTransferPath;
    return agent().upgrade(
        request, base::kTransferProtocol, [](const base::HttpResponse& response) {
          return base::Error(response.status == 503 ? base::ErrorCode::busy : base::ErrorCode::io,
                             response.body);
        });
  }
  Server& server() { return *server_; }
  catalog::Catalog& catalog() { return *catalog_; }
  const catalog::Host& host() const { return host_; }
  std::atomic<int> echoes{0};
  std::set<std::string> complaints;
  std::atomic<int> pieces{0};  // taken for live answers

 private:
  // "endless": pieces without end; "silent": nothing, ever; "three": three pieces; "torn": one, and
  // then a failure.
  Response live(const Request& request) {
    std::string kind = request.path_value("kind");
    auto count = std::make_shared<int>(0);
    auto take = [this, kind, count]() -> std::optional<std::string> {
      if (kind == "silent") return "";
      ++pieces;
      if (kind == "endless") return std::string(100'000, 'x');
      if (kind == "torn" && *count == 1) throw base::Error(base::ErrorCode::io, "the disk is gone");
      if (*count == 3) return std::nullopt;
      return "piece " + std::to_string(++*count) + "\n";
    };
    Response response;
    response.takeover = make_live_answer({"text/plain", take, [] { return std::string("."); }});
    return response;
  }

  // As many pieces as the path says, "?size=" bytes as it says; "?fail" breaks off before the end.
  static Response download(const Request& request) {
    Response response;
    uint64_t count = std::stoull(request.path_value("pieces"));
    response.stream = [count, fails = !request.query_value("fail").empty()]() mutable {
      if (count == 0 && fails) throw base::Error(base::ErrorCode::io, "the disk is gone");
      return count-- == 0 ? std::string() : std::string(100'000, 'x');
    };
    if (uint64_t size = request.query_number("size", 0, UINT32_MAX)) response.stream_size = size;
    return response;
  }

  void enroll() {
    base::Sha256 hash = base::sha256(base::as_bytes("token"));
    catalog_->add_token({catalog::TokenId::random(),
                         catalog::TokenKind::enrolment,
                         catalog::TenantName("default"),
                         "",
                         1,
                         {},
                         {}},
                        hash);
    host_.id = catalog::HostId::random();
    host_.tenant = catalog::TenantName("default");
    host_.name = "alpha";
    pki::HostCertificate issued =
        authority_->sign_host(base::make_signing_request(key_, "alpha"), host_.id.hex());
    certificate_ = issued.certificate_pem;
    host_.certificate_serial = issued.serial;
    catalog_->enroll_host(hash, host_, 5);
  }

  base::HttpClient over_tls(const base::Credentials& credentials) const {
    base::TlsClientOptions options;
    options.authority_fingerprint = authority_->fingerprint();
    options.credentials = credentials;
    return base::HttpClient::over_tls(endpoint(), base::TlsContext::client(options));
  }

  void echo(base::ByteStream& stream) {
    base::Bytes buffer(4096);
    while (size_t count = stream.read_some(buffer)) {
      stream.write_all(base::ByteView(buffer).first(count));
      ++echoes;
    }
  }

  base::ScratchDirectory scratch_{std::filesystem::temp_directory_path().string(),
                                  "muletto-server"};
  std::unique_ptr<catalog::Catalog> catalog_ =
      catalog::Catalog::open(scratch_.path() + "/catalog.sqlite");
  std::unique_ptr<pki::Authority> authority_ =
      pki::Authority::open(scratch_.path() + "/pki", pki::local_server_names(""));
  std::string key_ = base::generate_key();
  std::string certificate_;
  catalog::Host host_;
  Router router_;
  Authenticator authenticator_{*catalog_};
  std::unique_ptr<Server> server_;
};

base::HttpRequest get_status() {
  base::HttpRequest request;
  request.path = "/api/v1/status";
  return request;
}

}  // namespace

TEST_CASE("who comes through the socket is an operator, a stranger is not") {
  Fixture fixture;
  CHECK(fixture.local().send(get_status()).status == 200);
  CHECK(fixture.stranger().send(get_status()).status == 401);
  CHECK(fixture.agent().send(get_status()).status == 403);
  CHECK(fixture.stranger().send({"POST", "/api/v1/echo", {}, "{}"}).status == 200);
}

TEST_CASE("a body may be as large as the limit and no larger") {
  Fixture fixture;
  CHECK(fixture.local().send({"POST", "/api/v1/echo", {}, std::string(kMaxBodySize, 'x')}).status ==
        200);
  CHECK(fixture.local()
            .send({"POST", "/api/v1/echo", {}, std::string(kMaxBodySize + 1, 'x')})
            .status == 413);
}

TEST_CASE("an answer can be longer than memory would hold: it is streamed") {
  Fixture fixture;
  auto get = [&](const std::string& path) {
    base::HttpRequest request;
    request.path = "/api/v1/download/" + path;
    return fixture.local().send(request);
  };
  for (const char* path : {"100", "100?size=10000000"}) {
    base::HttpResponse whole = get(path);
    CHECK(whole.status == 200);
    CHECK(whole.body == std::string(10'000'000, 'x'));
  }
  CHECK(get("0").body.empty());
  // A client never takes a part for the whole.
  for (const char* path : {"3?fail=1", "2?size=300000&fail=1", "3?size=400000", "3?size=250000"})
    CHECK_THROWS_AS(get(path), base::Error);
}

TEST_CASE("a live answer comes piece by piece, and its end is told") {
  Fixture fixture;
  auto get = [&](const std::string& kind, const std::function<bool(std::string_view)>& on_piece) {
    base::HttpRequest request;
    request.path = "/api/v1/live/" + kind;
    return fixture.local().follow(request, on_piece);
  };
  std::string all;
  base::HttpResponse answer = get("three", [&](std::string_view piece) {
    all += piece;
    return true;
  });
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "text/plain");
  CHECK(all == "piece 1\npiece 2\npiece 3\n");
  // A client never takes a part for the whole.
  CHECK_THROWS_AS(get("torn", [](std::string_view) { return true; }), base::Error);
  size_t taken = 0;
  get("endless", [&](std::string_view piece) { return (taken += piece.size()) < 1'000'000; });
  CHECK(taken >= 1'000'000);
  base::HttpRequest wrong;
  wrong.path = "/api/v1/nothing";
  base::HttpResponse refusal = fixture.local().follow(wrong, [](std::string_view) {
    FAIL("a refusal is not followed");
    return true;
  });
  CHECK(refusal.status == 404);
  CHECK_THAT(refusal.body, Catch::Contains("nothing at"));
}

TEST_CASE("a client that does not read its live answer is dropped, and costs nothing meanwhile") {
  ServerLimits limits = Fixture::quick_limits();
  limits.live_answers = 1;
  Fixture fixture(limits);
  base::SocketStream stalled(base::connect_unix(fixture.socket_path()));
  stalled.write_all(base::as_bytes("GET /api/v1/live/endless HTTP/1.1\r\nHost: x\r\n\r\n"), 5s);
  CHECK(stalled.wait_readable(5s));
  std::this_thread::sleep_for(300ms);
  int pieces = fixture.pieces;
  CHECK(pieces < 100);  // what the sockets' buffers hold, and one more
  auto status = [&] {
    base::HttpRequest request;
    request.path = "/api/v1/live/three";
    return fixture.local().follow(request, [](std::string_view) { return true; }).status;
  };
  CHECK(status() == 503);  // the only place is taken
  CHECK(fixture.local().send(get_status()).status == 200);
  // After the write's timeout (1 s) the place is free again.
  int now = 503;
  for (int i = 0; i < 250 && now == 503; ++i) {
    std::this_thread::sleep_for(20ms);
    now = status();
  }
  CHECK(now == 200);
  CHECK(fixture.pieces <= pieces + 10);  // the last one asked for three
}

TEST_CASE("one principal does not take all places for live answers") {
  ServerLimits limits = Fixture::quick_limits();
  limits.live_answers_of_principal = 2;
  Fixture fixture(limits);
  auto open = [&] {
    auto client = std::make_unique<base::SocketStream>(base::connect_unix(fixture.socket_path()));
    client->write_all(base::as_bytes("GET /api/v1/live/silent HTTP/1.1\r\nHost: x\r\n\r\n"), 5s);
    base::Bytes head(12);
    CHECK(base::read_exactly(*client, head, 5s));
    return std::pair(std::move(client), std::string(base::as_text(head)));
  };
  auto first = open(), second = open(), third = open();
  CHECK(first.second == "HTTP/1.1 200");
  CHECK(second.second == "HTTP/1.1 200");
  CHECK(third.second == "HTTP/1.1 503");
}

TEST_CASE("an agent's connection is handed over to the transfer protocol") {
  Fixture fixture;
  auto stream = fixture.upgrade();
  base::Bytes back(100'000), sent(100'000, 7);
  std::thread writer([&] { stream->write_all(sent); });
  CHECK(base::read_exactly(*stream, back, 10s));
  writer.join();
  CHECK(back == sent);
  stream->finish();
}

TEST_CASE("more sessions than there are threads are told to come back") {
  Fixture fixture;
  auto first = fixture.upgrade();
  first->write_all(base::as_bytes("x"));
  try {
    fixture.upgrade();
    FAIL("a second session was let in");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::busy);
  }
  first.reset();
  // The slot comes back when the session has noticed.
  for (int i = 0; i < 100; ++i) {
    try {
      fixture.upgrade();
      return;
    } catch (const base::Error&) {
      std::this_thread::sleep_for(20ms);
    }
  }
  FAIL("the slot never came back");
}

TEST_CASE("a revoked agent is refused with a sentence") {
  Fixture fixture;
  fixture.catalog().revoke_host(fixture.host().id);
  try {
    fixture.upgrade();
    FAIL("a revoked host was let in");
  } catch (const base::Error& error) {
    CHECK(error.message().find("revoked") != std::string::npos);
  }
}

TEST_CASE("peers that stay silent are cut off, before and after the handshake") {
  Fixture fixture;
  base::SocketStream mute(base::connect_tcp(fixture.endpoint()));
  CHECK(mute.wait_readable(5s));  // the end of the connection

  base::SocketStream halting(base::connect_unix(fixture.socket_path()));
  halting.write_all(base::as_bytes("GET /api/v1/status HTTP/1.1\r\n"), 5s);
  CHECK(halting.wait_readable(5s));
}

TEST_CASE("a crowd of strangers keeps nobody out") {
  ServerLimits limits = Fixture::quick_limits();
  limits.connections = 12;
  limits.strangers = 8;
  limits.strangers_of_address = 4;
  limits.handshake_timeout = 30s;
  limits.idle_timeout = 30s;
  Fixture fixture(limits);
  std::list<base::SocketStream> crowd;
  for (int i = 0; i < 40; ++i) crowd.emplace_back(base::connect_tcp(fixture.endpoint()));
  CHECK(crowd.front().wait_readable(5s));         // the oldest were cut off
  CHECK_FALSE(crowd.back().wait_readable(10ms));  // the newest were not
  CHECK(fixture.agent().send({"POST", "/api/v1/echo", {}, "{}"}).status == 200);
  CHECK(fixture.local().send(get_status()).status == 200);
  fixture.upgrade()->finish();
}

TEST_CASE("who asks without end is told to wait, and is named") {
  ServerLimits limits = Fixture::quick_limits();
  limits.agent_burst = 5;
  limits.agent_rate = 0.001;
  Fixture fixture(limits);
  auto agent = fixture.agent();
  for (int i = 0; i < 5; ++i) CHECK(agent.send({"POST", "/api/v1/echo", {}, "{}"}).status == 200);
  CHECK(agent.send({"POST", "/api/v1/echo", {}, "{}"}).status == 429);
  CHECK(fixture.complaints == std::set<std::string>{"requests"});
  CHECK(fixture.local().send(get_status()).status == 200);
}

TEST_CASE("one host cannot take all sessions") {
  ServerLimits limits = Fixture::quick_limits();
  limits.upgraded_connections = 4;
  limits.host_sessions = 2;
  Fixture fixture(limits);
  auto first = fixture.upgrade(), second = fixture.upgrade();
  CHECK_THROWS_WITH(fixture.upgrade(), Catch::Contains("2 sessions of this host"));
}

TEST_CASE("stopping cuts sessions that are under way") {
  Fixture fixture;
  auto stream = fixture.upgrade();
  stream->write_all(base::as_bytes("x"));
  auto begin = std::chrono::steady_clock::now();
  fixture.server().stop();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK_THROWS_AS(fixture.local().send(get_status()), base::Error);
}

}  // namespace appliance::api
