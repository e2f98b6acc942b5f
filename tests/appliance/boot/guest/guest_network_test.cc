// Guests are asked inside their own network: what they say and what they send, and a whole network
// of namespaces in which a live original has the address of a copy. That one needs root.
#include "appliance/boot/guest/guest_network.h"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "appliance/boot/guest/agent_replies.h"
#include "base/error.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "tests/skip.h"

namespace appliance::boot {
namespace {

const MacAddress kCard{0x52, 0x54, 0, 1, 2, 3};
const std::string kCardText = "52:54:00:01:02:03";

// A thread in a network namespace of its own, in which it does what it is told.
class Place {
 public:
  Place() {
    thread_ = std::thread([this] {
      ready_.set_value(::unshare(CLONE_NEWNET) == 0 ? ::gettid() : -1);
      ended_.get_future().wait();
    });
    id_ = ready_.get_future().get();
    space_.reset(::open(("/proc/self/task/" + std::to_string(id_) + "/ns/net").c_str(),
                        O_RDONLY | O_CLOEXEC));
  }
  ~Place() {
    ended_.set_value();
    thread_.join();
  }
  pid_t id() const { return id_; }
  void run(const std::function<void()>& action) const {
    std::exception_ptr failure;
    std::thread([&] {
      try {
        if (::setns(space_.get(), CLONE_NEWNET) != 0) throw std::runtime_error("setns");
        action();
      } catch (...) {
        failure = std::current_exception();
      }
    }).join();
    if (failure) std::rethrow_exception(failure);
  }
  void ip(const std::string& words) const {
    run([&] { base::run_checked({"sh", "-c", "ip " + words}); });
  }

 private:
  std::promise<pid_t> ready_;
  std::promise<void> ended_;
  std::thread thread_;
  pid_t id_ = -1;
  base::UniqueFd space_;
};

// Answers every HTTP request with a status, in the namespace it was made in.
class Server {
 public:
  explicit Server(int status) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(80);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&place), sizeof place) != 0 ||
        ::listen(socket_, 8) != 0)
      throw std::runtime_error("no server");
    thread_ = std::thread([this, status] {
      for (int client; (client = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(client)) {
        ++count;
        char buffer[1024];
        [[maybe_unused]] ssize_t got = ::read(client, buffer, sizeof buffer);
        std::string text = "HTTP/1.1 " + std::to_string(status) +
                           " X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        [[maybe_unused]] ssize_t put = ::write(client, text.data(), text.size());
      }
    });
  }
  ~Server() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  std::atomic<int> count = 0;

 private:
  int socket_;
  std::thread thread_;
};

// Makes a bridge on the appliance and connects the guest to it, by its card kCard with this address.
void connect_by_bridge(const Place& appliance, const Place& guest, const std::string& bridge,
                       const std::string& address) {
  appliance.ip("link add " + bridge + " type bridge");
  appliance.ip("link set " + bridge + " up");
  appliance.ip("link add tap0 type veth peer name eth0 netns " + std::to_string(guest.id()));
  appliance.ip("link set tap0 master " + bridge + " up");
  guest.ip("link set eth0 address " + kCardText);
  guest.ip("addr add " + address + " dev eth0");
  guest.ip("link set eth0 up");
}

// The ends of GuestNetwork's pairs, in the namespace of the caller.
std::string pairs_left() {
  std::string links = base::run_command({"ip", "-o", "link", "show", "type", "veth"}).output;
  return links.find("mulv") == std::string::npos ? "" : links;
}

// False, with a word of it, where this test cannot run.
bool can_make_networks() {
  bool can = false;
  if (::getuid() == 0) std::thread([&] { can = ::unshare(CLONE_NEWNET) == 0; }).join();
  if (!can) WARN("not run: it needs root and network namespaces");
  return can;
}

}  // namespace

TEST_CASE("a frame tells its sender's address, or nothing", "[boot]") {
  base::Bytes question = arp_question(kCard, *parse_station_ipv4("10.0.0.5"), 0x0a000001);
  auto heard = hear(question);
  REQUIRE(heard);
  CHECK(heard->station == kCard);
  CHECK(format_ipv4(heard->address) == "10.0.0.5");
  CHECK(heard->is_arp);
  CHECK_FALSE(hear(arp_question(kCard, 0, 0x0a000001)));  // asks without an address
  base::Bytes forged = question;
  forged[22] ^= 1;  // the card in the question is not the one that sent it
  CHECK_FALSE(hear(forged));
  for (size_t size = 0; size < question.size(); ++size)
    CHECK_FALSE(hear(base::ByteView(question).first(size)));
  for (const char* wrong : {"", "10.0.0", "10.0.0.256", "127.0.0.1", "0.0.0.0", "255.255.255.255",
                            "224.0.0.1", "10.0.0.5; reboot", "::1", "localhost"})
    CHECK_FALSE(parse_station_ipv4(wrong));
}

TEST_CASE("a guest agent's replies are taken for what they are", "[boot]") {
  auto addresses = read_agent_addresses(
      R"({"return":[{"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","prefix":8}]},
          {"name":"eth0","hardware-address":"52:54:00:01:02:03","ip-addresses":[
            {"ip-address":"10.0.0.5","prefix":24,"ip-address-type":"ipv4"},
            {"ip-address":"fe80:0::1","prefix":64},
            {"ip-address":"10.0.0.6$(reboot) "},{"ip-address":7},5,null]}]})");
  REQUIRE(addresses.size() == 2);
  CHECK(addresses[0].address == "10.0.0.5");
  CHECK(addresses[0].prefix == 24);
  CHECK(addresses[1].address == "fe80::1");
  std::string deep = R"({"return":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  std::string large = R"({"return":[")" + std::string(2 << 20, 'x') + R"("]})";
  for (const std::string& reply :
       {std::string(), std::string("{}"), std::string("[]"), std::string("5"),
        std::string(R"({"return":[{"name":5}]})"), std::string(R"({"return":{"ip-addresses":3}})"),
        std::string(R"({"return":[{"hardware-address":"x","ip-addresses":{"a":1}}]})"),
        std::string("{\"return\":\"\xff\"}"), deep, large}) {
    CHECK(read_agent_addresses(reply).empty());
    CHECK_FALSE(read_exec_number(reply));
    CHECK_FALSE(read_exec_status(reply));
  }
  CHECK(read_exec_number(R"({"return":{"pid":12}})") == 12);
  CHECK_FALSE(read_exec_number(R"({"return":{"pid":"12"}})"));
  CHECK(read_exec_status(R"({"return":{"exited":true,"exitcode":3}})") == 3);
  CHECK(read_exec_status(R"({"return":{"exited":true,"exitcode":"no"}})") == -1);
  CHECK_FALSE(read_exec_status(R"({"return":{"exited":"yes"}})"));
  CHECK_FALSE(read_exec_status(R"({"return":[{"exited":true}]})"));
}

TEST_CASE("a copy with a static address is asked itself, never its original", "[boot]") {
  SKIP_UNLESS(can_make_networks(), "it needs root and network namespaces");
  Place appliance, copy;
  REQUIRE(copy.id() > 0);
  // The original's address is one that the appliance reaches by its own routes.
  appliance.ip("link set lo up");
  appliance.ip("addr add 10.0.0.5/32 dev lo");
  connect_by_bridge(appliance, copy, "muli-test", "10.0.0.5/24");
  appliance.ip("addr add 192.168.222.1/24 dev muli-test");
  copy.ip("link set lo up");

  std::unique_ptr<Server> original, served;
  appliance.run([&] { original = std::make_unique<Server>(200); });
  std::vector<AddressClaim> claims{{kCardText, "10.0.0.5", 24, false},
                                   {kCardText, "10.0.0.77", 24, false},
                                   {"52:54:00:99:99:99", "192.168.222.1", 24, false}};
  Service service{Service::Kind::http, 80, "/"};
  appliance.run([&] {
    // What a probe without a place of its own would be told.
    auto plain = [] { return base::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
    REQUIRE(ask_all("10.0.0.5", {service}, std::chrono::seconds(2), plain).front().answered);
    original->count = 0;

    GuestNetwork network("muli-test", NetworkPlace::inside);
    auto open = [&] { return network.open_socket(); };
    std::vector<std::string> found;
    for (int i = 0; i < 20 && found.empty(); ++i) found = network.answering(kCard, claims);
    REQUIRE(found == std::vector<std::string>{"10.0.0.5"});
    auto ask = [&] {
      return ask_all("10.0.0.5", {service}, std::chrono::seconds(2), open).front();
    };
    CHECK_FALSE(ask().answered);
    CHECK(original->count == 0);

    copy.run([&] { served = std::make_unique<Server>(204); });
    ServiceAnswer answer = ask();
    CHECK(answer.answered);
    CHECK(answer.detail == "HTTP 204");
    CHECK(original->count == 0);

    // A process that is started there is in the same place: it has no way to the original.
    base::CommandResult routes;
    network.inside([&] { routes = base::run_command({"ip", "route"}); });
    CHECK(routes.output.find("default") == std::string::npos);
    CHECK(routes.output.find("10.0.0.5 dev probe0") != std::string::npos);
    // Nobody else is taken for the card.
    CHECK(network.answering({2, 2, 2, 2, 2, 2}, claims).empty());
  });
  served.reset();
  std::string left;
  appliance.run([&] { left = pairs_left(); });
  CHECK(left == "");
}

TEST_CASE("a silent copy is found by what its card sends", "[boot]") {
  SKIP_UNLESS(can_make_networks(), "it needs root and network namespaces");
  Place appliance, copy;
  connect_by_bridge(appliance, copy, "muli-test", "10.1.2.3/24");
  appliance.run([&] {
    GuestNetwork network("muli-test", NetworkPlace::inside);
    CHECK(network.answering(kCard, {}).empty());
    std::vector<std::string> found;
    for (int i = 0; i < 20 && found.empty(); ++i) {
      // It looks for its router, which is not there.
      copy.run([] { base::run_command({"ping", "-c", "1", "-W", "1", "10.1.2.1"}); });
      found = network.answering(kCard, {});
    }
    CHECK(found == std::vector<std::string>{"10.1.2.3"});
  });
}

TEST_CASE("a guest that ends in the middle of an answer leaves no interface", "[boot]") {
  SKIP_UNLESS(can_make_networks(), "it needs root and network namespaces");
  bool is_killed = GENERATE(false, true);
  Place appliance, copy;
  connect_by_bridge(appliance, copy, "muli-test", "10.1.2.3/24");
  base::UniqueFd listener;
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(80);
  place.sin_addr.s_addr = htonl(0x0a010203);
  copy.run([&] {
    listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
  });
  // Asks, and closes the connection while its last bytes can no longer arrive.
  auto ask = [&](GuestNetwork& network) {
    std::vector<std::string> found;
    for (int i = 0; i < 20 && found.empty(); ++i)
      found = network.answering(kCard, {{kCardText, "10.1.2.3", 24, false}});
    base::UniqueFd client = network.open_socket();
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) != 0)
      return false;
    copy.ip("link set eth0 down");
    return ::send(client.get(), "GET ", 4, MSG_NOSIGNAL) == 4;
  };
  std::string left;
  bool asked = false;
  appliance.run([&] {
    if (!is_killed) {
      auto network = std::make_unique<GuestNetwork>("muli-test", NetworkPlace::inside);
      asked = ask(*network);
      network.reset();
      left = pairs_left();
      return;
    }
    // As a daemon that is killed: no destructor runs.
    std::fflush(nullptr);
    pid_t child = ::fork();
    if (child == 0) {
      try {
        auto* network = new GuestNetwork("muli-test", NetworkPlace::inside);
        ::_exit(ask(*network) ? 0 : 1);
      } catch (...) {
        ::_exit(2);
      }
    }
    int status = -1;
    asked = ::waitpid(child, &status, 0) == child && status == 0;
    for (int i = 0; i < 300 && (i == 0 || !left.empty()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      left = pairs_left();
    }
  });
  CHECK(asked);
  CHECK(left == "");
}

TEST_CASE("on a client's bridge an address counts when its card answers there", "[boot]") {
  SKIP_UNLESS(can_make_networks(), "it needs root and network namespaces");
  Place appliance, copy;
  appliance.ip("link set lo up");
  connect_by_bridge(appliance, copy, "br9", "10.7.0.9/24");
  appliance.ip("addr add 10.7.0.1/24 dev br9");
  std::unique_ptr<Server> served;
  copy.run([&] { served = std::make_unique<Server>(204); });
  appliance.run([&] {
    GuestNetwork network("br9", NetworkPlace::bridge);
    std::vector<AddressClaim> claims{{kCardText, "10.7.0.9", 24, false},
                                     {kCardText, "10.7.0.1", 24, false},
                                     {kCardText, "10.9.9.9", 24, false}};
    std::vector<std::string> found;
    for (int i = 0; i < 20 && found.empty(); ++i) found = network.answering(kCard, claims);
    REQUIRE(found == std::vector<std::string>{"10.7.0.9"});
    auto answer =
        ask_all("10.7.0.9", {{Service::Kind::http, 80, "/"}}, std::chrono::seconds(2), [&] {
          return network.open_socket();
        }).front();
    CHECK(answer.detail == "HTTP 204");
  });
}

}  // namespace appliance::boot
