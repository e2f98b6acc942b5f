// What every ByteStream promises, run on each of them: a plain socket, TLS, and either with bytes
// that were read before.
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "base/error.h"
#include "base/socket_stream.h"
#include "tests/base/tls_pair.h"

namespace base {
namespace {

using namespace std::chrono_literals;

struct Ends {
  std::unique_ptr<ByteStream> near, far;
};

// The ends of a connection of that kind; `near` is under test.
Ends ends_of(const std::string& kind) {
  auto tls = [] {
    static const tests::Authority authority;
    auto pair = tests::connect_pair(TlsContext::server(authority.server_options()),
                                    TlsContext::client(authority.client_options()));
    return Ends{std::move(pair.client), std::move(pair.server)};
  };
  auto plain = [] {
    auto [near, far] = make_stream_pair();
    return Ends{std::move(near), std::move(far)};
  };
  // What the other end said first was read already, as an HTTP server reads ahead.
  auto with_said = [](Ends ends) {
    ends.far->write_all(as_bytes("said"));
    Bytes said(4);
    REQUIRE(read_exactly(*ends.near, said));
    ends.near = with_prefix(std::move(ends.near), said);
    Bytes again(4);
    REQUIRE(read_exactly(*ends.near, again));
    REQUIRE(as_text(again) == "said");
    return ends;
  };
  if (kind == "socket") return plain();
  if (kind == "TLS") return tls();
  return with_said(kind == "socket with a prefix" ? plain() : tls());
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::already_exists;  // which no stream throws
}

Bytes pattern(size_t size, uint8_t first) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(first + i * 7 + i / 251);
  return bytes;
}

Bytes read_to_end(ByteStream& stream) {
  Bytes all, piece(10'000);
  while (size_t count = stream.read_some(piece))
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(count));
  return all;
}

}  // namespace

TEST_CASE("every byte stream keeps the contract", "[tls]") {
  const std::string kind =
      GENERATE(std::string("socket"), std::string("TLS"), std::string("socket with a prefix"),
               std::string("TLS with a prefix"));
  CAPTURE(kind);
  Ends ends = ends_of(kind);
  ByteStream& near = *ends.near;
  ByteStream& far = *ends.far;
  uint8_t byte = 0;

  SECTION("bytes come in order, both ways at once, more than buffers hold") {
    const Bytes there = pattern(5 << 20, 1), back = pattern((5 << 20) + 1, 2);
    auto write = [](ByteStream& stream, const Bytes& bytes) {
      stream.write_all(bytes);
      stream.finish();
    };
    auto near_writes = std::async(std::launch::async, [&] { write(near, there); });
    auto far_writes = std::async(std::launch::async, [&] { write(far, back); });
    auto far_reads = std::async(std::launch::async, [&] { return read_to_end(far); });
    bool near_good = read_to_end(near) == back;
    CHECK(near_good);
    bool far_good = far_reads.get() == there;
    CHECK(far_good);
    near_writes.get();
    far_writes.get();
  }

  SECTION("a read gives what there is, never more than was asked for") {
    far.write_all(as_bytes("abcdef"));
    Bytes few(4);
    size_t count = near.read_some(few);
    CHECK(count >= 1);
    CHECK(count <= 4);
    Bytes rest(6 - count);
    CHECK(read_exactly(near, rest));
    CHECK(as_text(rest) == std::string_view("abcdef").substr(count));
    near.write_all({});
    near.write_all(as_bytes("x"));
    CHECK(far.read_some({&byte, 1}) == 1);
    CHECK(byte == 'x');
  }

  SECTION("the end: reading continues after it was said, and it is told each time") {
    near.finish();
    near.finish();
    CHECK(far.read_some({&byte, 1}) == 0);
    CHECK(far.read_some({&byte, 1}) == 0);
    far.write_all(as_bytes("y"));
    CHECK(near.read_some({&byte, 1}) == 1);
    far.finish();
    CHECK(near.read_some({&byte, 1}) == 0);
    CHECK_FALSE(read_exactly(near, {&byte, 1}));
  }

  SECTION("an end inside of what was expected is no end") {
    far.write_all(as_bytes("ab"));
    far.finish();
    Bytes three(3);
    CHECK(code_of([&] { read_exactly(near, three); }) == ErrorCode::unavailable);
  }

  SECTION("waiting has an end") {
    CHECK_FALSE(near.wait_readable(30ms));
    CHECK(code_of([&] { near.read_some({&byte, 1}, 30ms); }) == ErrorCode::unavailable);
    far.write_all(as_bytes("z"));
    CHECK(near.wait_readable(5s));
    CHECK(near.read_some({&byte, 1}, 5s) == 1);
    // Nobody reads: buffers fill up.
    const Bytes much(64 << 20);
    CHECK(code_of([&] { near.write_all(much, 100ms); }) == ErrorCode::unavailable);
  }

  SECTION("abort ends what waits, and all that comes") {
    auto reading = std::async(std::launch::async, [&] {
      return code_of([&] { near.read_some({&byte, 1}, 20s); });
    });
    auto writing = std::async(std::launch::async, [&] {
      const Bytes much(64 << 20);
      return code_of([&] { near.write_all(much, 20s); });
    });
    std::this_thread::sleep_for(50ms);
    auto begin = std::chrono::steady_clock::now();
    near.abort();
    CHECK(reading.get() == ErrorCode::cancelled);
    CHECK(writing.get() == ErrorCode::cancelled);
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
    CHECK(code_of([&] { near.read_some({&byte, 1}); }) == ErrorCode::cancelled);
    CHECK(code_of([&] { near.write_all(as_bytes("x")); }) == ErrorCode::cancelled);
    near.finish();
    near.abort();
  }

  SECTION("a peer that is gone") {
    ends.far.reset();
    const Bytes much(8 << 20);
    CHECK(code_of([&] { near.write_all(much, 5s); }) == ErrorCode::unavailable);
  }

  CHECK_FALSE(near.peer().empty());
}

}  // namespace base
