#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "base/error.h"
#include "base/socket_stream.h"

namespace base {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The two ends of a TCP connection on this machine.
struct Ends {
  UniqueFd client, server;
};

Ends connect_here() {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener.get(), generic, size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), generic, &size) == 0);
  Ends ends{connect_tcp({"127.0.0.1", ntohs(address.sin_port)}), UniqueFd()};
  ends.server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(ends.server);
  return ends;
}

// From here on nothing reaches the server's socket, and so nothing is acknowledged.
void cut(const UniqueFd& server) {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  sock_fprog program{1, &drop};
  REQUIRE(::setsockopt(server.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

// The time until a wait for the peer ends with unavailable.
std::chrono::milliseconds time_to_notice(UniqueFd client, bool with_bytes_under_way) {
  SocketStream stream(std::move(client));
  auto begin = Clock::now();
  if (with_bytes_under_way) stream.write_all(Bytes(1000, 7), 60s);
  try {
    Bytes buffer(10);
    stream.read_some(buffer, 60s);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unavailable)
      return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  }
  return 1h;
}

// The words of a wait for a peer that has closed its window, because it does not read.
std::string words_about_slow_peer(UniqueFd client) {
  SocketStream stream(std::move(client));
  try {
    for (;;) stream.write_all(Bytes(1 << 20, 7), 20s);
  } catch (const Error& error) {
    return error.message();
  }
}

// Takes 20 s, all at once: about 15 s until the notice, and more for the peer that lives.
TEST_CASE("a cut connection is noticed soon, and a slow peer is waited for") {
  Ends busy = connect_here(), idle = connect_here(), slow = connect_here();
  cut(busy.server);
  cut(idle.server);
  auto first =
      std::async(std::launch::async, [&] { return time_to_notice(std::move(busy.client), true); });
  auto second =
      std::async(std::launch::async, [&] { return time_to_notice(std::move(idle.client), false); });
  CHECK(words_about_slow_peer(std::move(slow.client)).find("was silent for 20 s") !=
        std::string::npos);
  CHECK(first.get() < 25s);
  CHECK(second.get() < 25s);
}

}  // namespace
}  // namespace base
