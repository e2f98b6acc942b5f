#include "appliance/boot/libvirt/libvirt_guest_watch.h"

#include <fmt/format.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <map>
#include <mutex>
#include <pugixml.hpp>
#include <thread>

#include "appliance/boot/libvirt/isolation_rules.h"
#include "base/error.h"
#include "base/guarded.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;
using Connection = std::shared_ptr<virConnect>;
using Domain = std::unique_ptr<virDomain, int (*)(virDomainPtr)>;
struct Reboots {
  uint32_t count = 0;
  std::chrono::steady_clock::time_point last{};
};
using RebootCounts = base::Guarded<std::map<std::string, Reboots>>;

// A kernel that restarts tries several ways, and QEMU tells each: together they are one restart.
constexpr std::chrono::milliseconds kOneReboot{2500};
constexpr int kWakeEvery = 500;  // ms: how soon the thread sees that it shall end

std::string last_words() {
  virErrorPtr error = virGetLastError();
  return error == nullptr || error->message == nullptr ? "libvirt gave no reason" : error->message;
}

int count_reboot(virConnectPtr, virDomainPtr domain, void* opaque) {
  auto counts = static_cast<RebootCounts*>(opaque)->lock();
  const char* name = virDomainGetName(domain);
  if (name == nullptr) return 0;
  Reboots& reboots = (*counts)[name];
  auto now = std::chrono::steady_clock::now();
  if (reboots.count == 0 || now - reboots.last > kOneReboot) ++reboots.count;
  reboots.last = now;
  return 0;
}

// libvirt's default event loop is one for the whole process, and must be there before a connection.
void start_event_loop() {
  static std::once_flag once;
  std::call_once(once, [] {
    virEventRegisterDefaultImpl();
    virEventAddTimeout(
        kWakeEvery, [](int, void*) {}, nullptr, nullptr);
  });
}

class LibvirtGuestWatch : public GuestWatch {
 public:
  explicit LibvirtGuestWatch(std::string uri) : uri_(std::move(uri)) {
    start_event_loop();
    events_ = std::jthread([](const std::stop_token& stop) {
      while (!stop.stop_requested()) virEventRunDefaultImpl();
    });
  }

  std::optional<std::string> ask_agent(const std::string& name, const std::string& command,
                                       std::chrono::seconds timeout) override {
    Connection connection = connect_now();
    Domain domain = open(connection, name);
    char* answer = virDomainQemuAgentCommand(domain.get(), command.c_str(),
                                             static_cast<int>(timeout.count()), 0);
    if (answer == nullptr) return std::nullopt;
    std::string text = answer;
    ::free(answer);
    return text;
  }

  DiskCounters disk_counters(const std::string& name) override {
    Connection connection = connect_now();
    Domain domain = open(connection, name);
    DiskCounters sum;
    virDomainBlockStatsStruct stats{};
    // The empty path is the sum of all disks.
    if (virDomainBlockStats(domain.get(), "", &stats, sizeof stats) != 0)
      throw Error(ErrorCode::io, fmt::format("the disks of {}: {}", name, last_words()));
    sum.read_size = stats.rd_bytes < 0 ? 0 : static_cast<uint64_t>(stats.rd_bytes);
    sum.written_size = stats.wr_bytes < 0 ? 0 : static_cast<uint64_t>(stats.wr_bytes);
    return sum;
  }

  uint32_t reboot_count(const std::string& name) override {
    connect_now();
    return (*counts_.lock())[name].count;
  }

  void forget(const std::string& name) override { counts_.lock()->erase(name); }

  void remove_network(const std::string& name) override {
    Connection connection = connect_now();
    std::unique_ptr<virNetwork, int (*)(virNetworkPtr)> network(
        virNetworkLookupByName(connection.get(), name.c_str()), virNetworkFree);
    if (network != nullptr && virNetworkDestroy(network.get()) != 0)
      throw Error(ErrorCode::io, fmt::format("the network {}: {}", name, last_words()));
    release_isolated_bridges();
  }

 private:
  Connection connect_now() {
    auto connection = connection_.lock();
    if (*connection != nullptr && virConnectIsAlive(connection->get()) == 1) return *connection;
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    virConnectPtr fresh = virConnectOpen(uri_.c_str());
    if (fresh == nullptr) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("libvirt at {} does not answer: {}", uri_, last_words()));
    }
    *connection = Connection(fresh, [](virConnectPtr old) { virConnectClose(old); });
    virConnectDomainEventRegisterAny(fresh, nullptr, VIR_DOMAIN_EVENT_ID_REBOOT,
                                     VIR_DOMAIN_EVENT_CALLBACK(count_reboot), &counts_, nullptr);
    return *connection;
  }

  static Domain open(const Connection& connection, const std::string& name) {
    Domain domain(virDomainLookupByName(connection.get(), name.c_str()), virDomainFree);
    if (domain == nullptr) throw Error(ErrorCode::not_found, "no domain " + name + " runs");
    return domain;
  }

  std::string uri_;
  RebootCounts counts_;
  base::Guarded<Connection> connection_;
  std::jthread events_;  // last: ends before what its callbacks use
};

}  // namespace

std::unique_ptr<GuestWatch> watch_guests(const std::string& uri) {
  return std::make_unique<LibvirtGuestWatch>(uri);
}

}  // namespace appliance::boot::libvirt
