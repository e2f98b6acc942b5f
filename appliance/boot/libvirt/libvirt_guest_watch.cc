#include "appliance/boot/libvirt/libvirt_guest_watch.h"

#include <fmt/format.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>

#include <map>
#include <mutex>
#include <pugixml.hpp>

#include "appliance/boot/libvirt/isolation_rules.h"
#include "appliance/boot/libvirt/kept_connection.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;
using Domain = std::unique_ptr<virDomain, int (*)(virDomainPtr)>;
struct SeenReboots {
  uint32_t count = 0;
  std::chrono::steady_clock::time_point last_began{}, last_event{};
};
using RebootCounts = base::Guarded<std::map<std::string, SeenReboots>>;

// A restarting kernel tries several ways, and QEMU reports each: together they are one restart.
constexpr std::chrono::milliseconds kOneReboot{2500};
constexpr unsigned long long kLeastShares = 2;
constexpr unsigned int kLeftShift = 42, kHoldKey = 100;  // KEY_LEFTSHIFT of Linux; ms
constexpr std::chrono::seconds kAfterFailure{1};
constexpr int kWakeEvery = 500;  // ms: how soon the thread notices that it must end

void count_reboot_of(const char* name, RebootCounts& all) {
  auto counts = all.lock();
  SeenReboots& reboots = (*counts)[name];
  auto now = std::chrono::steady_clock::now();
  if (reboots.count == 0 || now - reboots.last_event > kOneReboot) {
    ++reboots.count;
    reboots.last_began = now;
  }
  reboots.last_event = now;
}

// libvirt's callback: nothing is thrown through it.
int count_reboot(virConnectPtr, virDomainPtr domain, void* opaque) {
  const char* name = virDomainGetName(domain);
  if (name == nullptr) return 0;
  base::run_guarded("libvirt's events",
                    [&] { count_reboot_of(name, *static_cast<RebootCounts*>(opaque)); });
  return 0;
}

// libvirt's default event loop is one for the whole process, and must exist before a connection.
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
  explicit LibvirtGuestWatch(const std::string& uri)
      : domains_(uri,
                 [this](virConnectPtr fresh) {
                   virConnectDomainEventRegisterAny(fresh, nullptr, VIR_DOMAIN_EVENT_ID_REBOOT,
                                                    VIR_DOMAIN_EVENT_CALLBACK(count_reboot),
                                                    &counts_, nullptr);
                 }),
        agents_(uri) {
    start_event_loop();
    events_ = base::GuardedThread("libvirt events", base::AfterFailure::begin_again,
                                  [](const std::stop_token& stop) {
                                    while (!stop.stop_requested()) {
                                      if (virEventRunDefaultImpl() != 0)
                                        base::sleep_unless_stopped(stop, kAfterFailure);
                                    }
                                  });
  }

  std::optional<std::string> ask_agent(const std::string& name, const std::string& command,
                                       std::chrono::seconds timeout) override {
    Connection connection = agents_.now();
    Domain domain = open(connection, name);
    char* answer = virDomainQemuAgentCommand(domain.get(), command.c_str(),
                                             static_cast<int>(timeout.count()), 0);
    if (answer == nullptr) return std::nullopt;
    std::string text = answer;
    ::free(answer);
    return text;
  }

  DiskCounters disk_counters(const std::string& name) override {
    Connection connection = domains_.now();
    Domain domain = open(connection, name);
    DiskCounters sum;
    virDomainBlockStatsStruct stats{};
    // The empty path is the sum of all disks.
    if (virDomainBlockStats(domain.get(), "", &stats, sizeof stats) != 0)
      throw Error(ErrorCode::io, fmt::format("the disks of {}: {}", name, last_error_message()));
    sum.read_size = stats.rd_bytes < 0 ? 0 : static_cast<uint64_t>(stats.rd_bytes);
    sum.written_size = stats.wr_bytes < 0 ? 0 : static_cast<uint64_t>(stats.wr_bytes);
    return sum;
  }

  Reboots reboots(const std::string& name) override {
    domains_.now();
    uint32_t gap_count = domains_.opened_count() - 1;
    const SeenReboots& seen = (*counts_.lock())[name];
    return {seen.count, seen.last_began, gap_count};
  }

  void press_shift(const std::string& name) override {
    Connection connection = domains_.now();
    Domain domain = open(connection, name);
    unsigned int key = kLeftShift;
    if (virDomainSendKey(domain.get(), VIR_KEYCODE_SET_LINUX, kHoldKey, &key, 1, 0) != 0)
      throw Error(ErrorCode::io, fmt::format("a key for {}: {}", name, last_error_message()));
  }

  // If libvirt does not assign shares, QEMU is not in a control group of its own.
  void lower_cpu_share(const std::string& name) override {
    Connection connection = domains_.now();
    Domain domain(virDomainLookupByName(connection.get(), name.c_str()), virDomainFree);
    if (domain == nullptr) return;
    int count = 0;
    char* scheduler = virDomainGetSchedulerType(domain.get(), &count);
    ::free(scheduler);
    std::vector<virTypedParameter> parameters(static_cast<size_t>(std::max(count, 0)));
    if (virDomainGetSchedulerParameters(domain.get(), parameters.data(), &count) != 0) return;
    for (int i = 0; i < count; ++i) {
      virTypedParameter& each = parameters[static_cast<size_t>(i)];
      if (std::string_view(each.field) != VIR_DOMAIN_SCHEDULER_CPU_SHARES) continue;
      each.value.ul = std::max(kLeastShares, each.value.ul / 10);
      virDomainSetSchedulerParameters(domain.get(), &each, 1);
    }
  }

  void forget(const std::string& name) override { counts_.lock()->erase(name); }

  void remove_network(const std::string& name) override {
    Connection connection = domains_.now();
    std::unique_ptr<virNetwork, int (*)(virNetworkPtr)> network(
        virNetworkLookupByName(connection.get(), name.c_str()), virNetworkFree);
    if (network != nullptr && virNetworkDestroy(network.get()) != 0)
      throw Error(ErrorCode::io, fmt::format("the network {}: {}", name, last_error_message()));
    release_isolated_bridges();
  }

 private:
  static Domain open(const Connection& connection, const std::string& name) {
    Domain domain(virDomainLookupByName(connection.get(), name.c_str()), virDomainFree);
    if (domain == nullptr) throw Error(ErrorCode::not_found, "no domain " + name + " runs");
    return domain;
  }

  RebootCounts counts_;
  KeptConnection domains_;  // reports the events, too
  // libvirt handles five calls of one connection at once, and a silent agent occupies one for
  // seconds: calls for the disks must not wait for it.
  KeptConnection agents_;
  base::GuardedThread events_;  // last: destroyed before what its callbacks use
};

}  // namespace

std::unique_ptr<GuestWatch> watch_guests(const std::string& uri) {
  return std::make_unique<LibvirtGuestWatch>(uri);
}

}  // namespace appliance::boot::libvirt
