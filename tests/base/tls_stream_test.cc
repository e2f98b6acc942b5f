#include "base/tls_stream.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <catch2/catch.hpp>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "tests/base/tls_pair.h"

namespace {

using base::Bytes;
using base::ErrorCode;
using Catch::Matchers::Contains;
using tests::Authority;

struct Failure {
  ErrorCode code;
  std::string message;
};

template <typename Action>
Failure failure_of(Action action) {
  try {
    action();
  } catch (const base::Error& error) {
    return {error.code(), error.message()};
  }
  FAIL("nothing was thrown");
  return {};
}

// What the two sides of one connection end with: an empty message for success. The client also
// reads one byte, for TLS 1.3 tells a refused client only then.
struct Meeting {
  Failure client{ErrorCode::io, ""};
  Failure server{ErrorCode::io, ""};
};

Meeting meet(const base::TlsServerOptions& server, const base::TlsClientOptions& client) {
  base::TlsContext server_context = base::TlsContext::server(server);
  base::TlsContext client_context = base::TlsContext::client(client);
  tests::Listener listener;
  Meeting meeting;
  std::thread accepting([&] {
    try {
      auto stream = base::accept_tls(listener.accept(), server_context);
      stream->write_all(Bytes{1});
      stream->finish();
    } catch (const base::Error& error) {
      meeting.server = {error.code(), error.message()};
    }
  });
  try {
    auto stream = base::connect_tls(listener.endpoint(), client_context);
    uint8_t byte;
    stream->read_some({&byte, 1});
  } catch (const base::Error& error) {
    meeting.client = {error.code(), error.message()};
  }
  accepting.join();
  return meeting;
}

base::CertificateOptions named(base::CertificateUse use, int64_t begins_in_ms, int64_t ends_in_ms) {
  base::CertificateOptions options;
  options.common_name = "someone";
  options.use = use;
  options.not_before_ms = base::now_ms() + static_cast<uint64_t>(begins_in_ms);
  options.not_after_ms = base::now_ms() + static_cast<uint64_t>(ends_in_ms);
  return options;
}

constexpr int64_t kDay_ms = 24 * 3600 * 1000;

TEST_CASE("certificates on both sides", "[tls]") {
  Authority authority;
  auto pair = tests::connect_pair(base::TlsContext::server(authority.server_options()),
                                  base::TlsContext::client(authority.client_options()));
  REQUIRE(pair.server->peer_certificate().has_value());
  CHECK(pair.server->peer_certificate()->common_name == "agent");
  CHECK(pair.server->peer_certificate()->uris == std::vector<std::string>{"muletto:agent:agent"});
  CHECK(pair.client->peer_certificate()->common_name == "appliance");
}

TEST_CASE("a client pins the authority by its fingerprint", "[tls]") {
  Authority authority, other;
  base::TlsServerOptions server = authority.server_options();
  server.clients = base::ClientCertificates::optional;
  base::TlsClientOptions client;
  client.authority_fingerprint = base::certificate_fingerprint(authority.pem());
  Meeting good = meet(server, client);
  CHECK(good.client.message.empty());
  CHECK(good.server.message.empty());

  client.authority_fingerprint = base::certificate_fingerprint(other.pem());
  Meeting bad = meet(server, client);
  CHECK(bad.client.code == ErrorCode::unauthorized);
  CHECK_THAT(bad.client.message, Contains("fingerprint"));

  // The right authority shown by somebody whom it did not sign.
  client.authority_fingerprint = base::certificate_fingerprint(authority.pem());
  server.credentials = other.server();
  Meeting imposter = meet(server, client);
  CHECK(imposter.client.code == ErrorCode::unauthorized);
}

TEST_CASE("a certificate that is not valid yet is good: only a clock that is behind says so",
          "[tls]") {
  Authority authority;
  base::TlsServerOptions server = authority.server_options();
  base::TlsClientOptions client = authority.client_options();
  server.credentials =
      authority.issue(named(base::CertificateUse::server, 700 * kDay_ms, 800 * kDay_ms));
  client.credentials =
      authority.issue(named(base::CertificateUse::client, 700 * kDay_ms, 800 * kDay_ms));
  Meeting meeting = meet(server, client);
  CHECK(meeting.client.message.empty());
  CHECK(meeting.server.message.empty());

  // Everything else about it is still looked at.
  server.is_revoked = [](const std::string&) { return true; };
  CHECK_THAT(meet(server, client).server.message, Contains("was revoked"));
  server.is_revoked = {};
  client.credentials = authority.server();
  CHECK_THAT(meet(server, client).server.message, Contains("another use"));
}

TEST_CASE("expired, foreign, revoked, missing and misused certificates have sentences", "[tls]") {
  Authority authority, other;
  base::TlsServerOptions server = authority.server_options();
  base::TlsClientOptions client = authority.client_options();
  struct Row {
    const char* name;
    std::string client_says, server_says;
  } row;
  SECTION("expired client") {
    client.credentials =
        authority.issue(named(base::CertificateUse::client, -2 * kDay_ms, -kDay_ms));
    row = {"expired client", "refused this side's certificate: it has expired", "has expired"};
  }
  SECTION("foreign client") {
    client.credentials = other.client();
    row = {"foreign client", "foreign authority", "foreign authority"};
  }
  SECTION("client without certificate") {
    client.credentials = {};
    row = {"no certificate", "requires a certificate", "presented no certificate"};
  }
  SECTION("revoked client") {
    server.is_revoked = [](const std::string&) { return true; };
    row = {"revoked client", "it was revoked", "was revoked"};
  }
  SECTION("a revocation list that fails refuses") {
    server.is_revoked = [](const std::string&) -> bool {
      throw base::Error(ErrorCode::io, "disk");
    };
    row = {"revoked client", "it was revoked", "was revoked"};
  }
  SECTION("server's certificate used by a client") {
    client.credentials = authority.server();
    row = {"misused", "another use", "another use"};
  }
  SECTION("expired server") {
    server.credentials =
        authority.issue(named(base::CertificateUse::server, -2 * kDay_ms, -kDay_ms));
    row = {"expired server", "has expired", "refused this side's certificate: it has expired"};
  }
  SECTION("foreign server") {
    server.credentials = other.server();
    row = {"foreign server", "foreign authority", "foreign authority"};
  }
  SECTION("client's certificate used by a server") {
    server.credentials = authority.client();
    row = {"imposter", "another use", "another use"};
  }
  CAPTURE(row.name);
  Meeting meeting = meet(server, client);
  CHECK_THAT(meeting.client.message, Contains(row.client_says));
  CHECK(meeting.client.code == ErrorCode::unauthorized);
  CHECK_THAT(meeting.server.message, Contains(row.server_says));
  CHECK(meeting.server.code == ErrorCode::unauthorized);
}

TEST_CASE("a refused client learns why even if it only writes", "[tls]") {
  Authority authority;
  base::TlsServerOptions options = authority.server_options();
  options.is_revoked = [](const std::string&) { return true; };
  base::TlsContext server = base::TlsContext::server(options);
  tests::Listener listener;
  std::thread accepting([&] { failure_of([&] { base::accept_tls(listener.accept(), server); }); });
  auto stream =
      base::connect_tls(listener.endpoint(), base::TlsContext::client(authority.client_options()));
  accepting.join();
  Failure failure = failure_of([&] {
    for (int i = 0; i < 1000; ++i) stream->write_all(Bytes(100000));
  });
  CHECK_THAT(failure.message, Contains("it was revoked"));
}

TEST_CASE("an optional certificate may be absent but not bad", "[tls]") {
  Authority authority, other;
  base::TlsServerOptions server = authority.server_options();
  server.clients = base::ClientCertificates::optional;
  base::TlsClientOptions client = authority.client_options();
  client.credentials = {};
  CHECK(meet(server, client).server.message.empty());
  client.credentials = other.client();
  CHECK_THAT(meet(server, client).server.message, Contains("foreign authority"));
}

TEST_CASE("peers that do not speak TLS 1.3", "[tls]") {
  Authority authority;
  base::TlsContext server = base::TlsContext::server(authority.server_options());
  base::TlsContext client = base::TlsContext::client(authority.client_options());
  tests::Listener listener;

  SECTION("a plain HTTP client") {
    auto accepted = std::async(std::launch::async, [&] {
      return failure_of([&] { base::accept_tls(listener.accept(), server); });
    });
    base::SocketStream plain(base::connect_tcp(listener.endpoint()));
    plain.write_all(base::as_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), base::kStreamTimeout);
    CHECK_THAT(accepted.get().message, Contains("does not speak TLS"));
  }
  SECTION("a plain HTTP server") {
    std::thread answering([&] {
      base::SocketStream plain(listener.accept());
      plain.write_all(base::as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), base::kStreamTimeout);
      uint8_t rest[1000];
      plain.read_some(rest, base::kStreamTimeout);
    });
    Failure failure = failure_of([&] { base::connect_tls(listener.endpoint(), client); });
    answering.join();
    CHECK(failure.code == ErrorCode::unavailable);
    CHECK_THAT(failure.message, Contains("does not speak TLS"));
  }
  SECTION("a TLS 1.2 client") {
    auto accepted = std::async(std::launch::async, [&] {
      return failure_of([&] { base::accept_tls(listener.accept(), server); });
    });
    boost::asio::io_context io;
    boost::asio::ssl::context old(boost::asio::ssl::context::tlsv12_client);
    boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream(io, old);
    stream.next_layer().connect(
        {boost::asio::ip::make_address("127.0.0.1"), listener.endpoint().port});
    boost::system::error_code problem;
    stream.handshake(boost::asio::ssl::stream_base::client, problem);
    CHECK(problem);
    CHECK_THAT(accepted.get().message, Contains("does not speak TLS 1.3"));
  }
  SECTION("a server that hangs up") {
    std::thread closing([&] { listener.accept(); });
    Failure failure = failure_of([&] { base::connect_tls(listener.endpoint(), client); });
    closing.join();
    CHECK(failure.code == ErrorCode::unavailable);
    CHECK_THAT(failure.message, Contains("cut the connection"));
  }
  SECTION("a server that never answers") {
    auto timeout = std::chrono::milliseconds(100);
    Failure failure = failure_of([&] { base::connect_tls(listener.endpoint(), client, timeout); });
    CHECK(failure.code == ErrorCode::unavailable);
    CHECK_THAT(failure.message, Contains("silent"));
  }
  SECTION("nobody listens") {
    base::Endpoint nobody = tests::Listener().endpoint();
    Failure failure = failure_of([&] { base::connect_tls(nobody, client); });
    CHECK(failure.code == ErrorCode::unavailable);
    CHECK_THAT(failure.message, Contains("cannot connect to 127.0.0.1"));
  }
}

TEST_CASE("both directions at once, by two threads a side", "[tls]") {
  Authority authority;
  auto pair = tests::connect_pair(base::TlsContext::server(authority.server_options()),
                                  base::TlsContext::client(authority.client_options()));
  constexpr size_t kTotal = 8 << 20;
  Bytes sent(kTotal);
  for (size_t i = 0; i < kTotal; ++i) sent[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  auto write = [&](base::ByteStream& stream) {
    for (size_t offset = 0, size = 1; offset < kTotal;
         offset += size, size = size * 7 % 200003 + 1) {
      size = std::min(size, kTotal - offset);
      stream.write_all({sent.data() + offset, size});
    }
    stream.finish();
  };
  auto read_all = [&](base::ByteStream& stream) {
    Bytes received;
    Bytes piece(100000);
    while (size_t count = stream.read_some(piece)) {
      received.insert(received.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(count));
    }
    return received;
  };
  std::thread client_writes([&] { write(*pair.client); }),
      server_writes([&] { write(*pair.server); });
  auto server_reads = std::async(std::launch::async, [&] { return read_all(*pair.server); });
  bool client_good = read_all(*pair.client) == sent;
  bool server_good = server_reads.get() == sent;
  client_writes.join();
  server_writes.join();
  CHECK(client_good);
  CHECK(server_good);
}

TEST_CASE("an end without goodbye is no end", "[tls]") {
  Authority authority;
  auto pair = tests::connect_pair(base::TlsContext::server(authority.server_options()),
                                  base::TlsContext::client(authority.client_options()));
  uint8_t byte;
  SECTION("with goodbye") {
    pair.server->finish();
    CHECK(pair.client->read_some({&byte, 1}) == 0);
  }
  SECTION("without") {
    pair.server.reset();
    Failure failure = failure_of([&] { pair.client->read_some({&byte, 1}); });
    CHECK(failure.code == ErrorCode::unavailable);
    CHECK_THAT(failure.message, Contains("cut the connection"));
  }
  SECTION("aborted by another thread") {
    auto reading = std::async(std::launch::async, [&] {
      return failure_of([&] { pair.client->read_some({&byte, 1}); });
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    pair.client->abort();
    CHECK(reading.get().code == ErrorCode::cancelled);
  }
  SECTION("silence") {
    CHECK_FALSE(pair.client->wait_readable(std::chrono::milliseconds(20)));
    Failure failure = failure_of([&] {
      pair.client->read_some({&byte, 1}, std::chrono::milliseconds(20));
    });
    CHECK_THAT(failure.message, Contains("silent"));
  }
}

TEST_CASE("a connection moves from Asio to a blocking stream", "[tls]") {
  namespace asio = boost::asio;
  Authority authority;
  base::TlsContext server = base::TlsContext::server(authority.server_options());
  SSL_CTX_up_ref(server.native());
  asio::ssl::context asio_context(server.native());
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  base::Endpoint endpoint{"127.0.0.1", acceptor.local_endpoint().port()};

  auto client = std::async(std::launch::async, [&] {
    auto stream = base::connect_tls(endpoint, base::TlsContext::client(authority.client_options()));
    stream->write_all(base::as_bytes("upgrade?"));
    Bytes answer(4);
    base::read_exactly(*stream, answer);
    stream->write_all(Bytes(300000, 7));
    base::read_exactly(*stream, answer);
    return std::string(base::as_text(answer));
  });
  std::unique_ptr<base::TlsStream> adopted;
  {
    asio::ssl::stream<asio::ip::tcp::socket> stream(acceptor.accept(), asio_context);
    stream.handshake(asio::ssl::stream_base::server);
    char question[8];
    asio::read(stream, asio::buffer(question));
    asio::write(stream, asio::buffer("101!", 4));
    adopted =
        base::adopt_tls(stream.native_handle(), base::UniqueFd(stream.next_layer().release()));
  }
  Bytes bulk(300000);
  REQUIRE(base::read_exactly(*adopted, bulk));
  CHECK(bulk == Bytes(300000, 7));
  CHECK(adopted->peer_certificate()->common_name == "agent");
  adopted->write_all(base::as_bytes("done"));
  CHECK(client.get() == "done");
}

TEST_CASE("endpoints", "[tls]") {
  CHECK(base::parse_endpoint("spare", 7443).text() == "spare:7443");
  CHECK(base::parse_endpoint("spare:8443", 7443).text() == "spare:8443");
  CHECK(base::parse_endpoint("::1", 7443).text() == "[::1]:7443");
  CHECK(base::parse_endpoint("[::1]:99", 7443).text() == "[::1]:99");
  for (const char* bad : {"", ":", ":80", "a:", "a:0", "a:70000", "a:8x", "[::1", "[::1]x"}) {
    CAPTURE(bad);
    CHECK(failure_of([&] { base::parse_endpoint(bad, 7443); }).code == ErrorCode::invalid_argument);
  }
}

}  // namespace
