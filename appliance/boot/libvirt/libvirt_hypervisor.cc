#include "appliance/boot/libvirt/libvirt_hypervisor.h"

#include <fmt/format.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <net/if.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <vector>

#include "appliance/boot/guest/agent_replies.h"
#include "appliance/boot/host/linux_bridges.h"
#include "appliance/boot/libvirt/defined_domains.h"
#include "appliance/boot/libvirt/host_facts.h"
#include "appliance/boot/libvirt/isolation_rules.h"
#include "appliance/boot/libvirt/kept_connection.h"
#include "appliance/boot/libvirt/nbd_reconnect.h"
#include "appliance/boot/libvirt/network_plan.h"
#include "appliance/boot/machine/domain_translation.h"
#include "base/error.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;

constexpr int kAgentTimeout = 2;  // s

// With libvirt's error message for the last failed call of this thread.
Error last_error(const std::string& action) {
  std::string words = last_error_message();
  virErrorPtr error = virGetLastError();
  ErrorCode code = ErrorCode::io;
  switch (error == nullptr ? VIR_ERR_OK : static_cast<virErrorNumber>(error->code)) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_NETWORK: code = ErrorCode::not_found; break;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_AGENT_UNRESPONSIVE: code = ErrorCode::unavailable; break;
    case VIR_ERR_OPERATION_INVALID:
    case VIR_ERR_OPERATION_TIMEOUT: code = ErrorCode::busy; break;
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_NO_SUPPORT: code = ErrorCode::unsupported; break;
    default: break;
  }
  return Error(code, fmt::format("{}: {}", action, words));
}

template <typename Object, int (*kFree)(Object*)>
struct Free {
  void operator()(Object* object) const { kFree(object); }
};
using Domain = std::unique_ptr<virDomain, Free<virDomain, virDomainFree>>;
using Network = std::unique_ptr<virNetwork, Free<virNetwork, virNetworkFree>>;

std::string take_text(char* text) {
  std::string copy = text == nullptr ? "" : text;
  ::free(text);
  return copy;
}

DomainState state_of(virDomainPtr domain) {
  int state = 0, reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) != 0) return DomainState::off;
  switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED: return DomainState::running;
    case VIR_DOMAIN_PAUSED:
      return reason == VIR_DOMAIN_PAUSED_IOERROR ? DomainState::paused_by_io_error
                                                 : DomainState::paused;
    case VIR_DOMAIN_PMSUSPENDED: return DomainState::paused;
    case VIR_DOMAIN_SHUTDOWN: return DomainState::shutting_down;
    default: return DomainState::off;
  }
}

class LibvirtHypervisor : public Hypervisor {
 public:
  explicit LibvirtHypervisor(const std::string& uri)
      : is_local_(uri.find(":///") != std::string::npos), connection_(uri) {}

  HypervisorFacts facts() override {
    Connection connection = connection_.now();
    HypervisorFacts facts;
    unsigned long libvirt_version = 0, qemu_version = 0;
    virConnectGetLibVersion(connection.get(), &libvirt_version);
    virConnectGetVersion(connection.get(), &qemu_version);
    facts.version = fmt::format("libvirt {}, QEMU {}", version_text(libvirt_version),
                                version_text(qemu_version));
    read_capabilities(take_text(virConnectGetCapabilities(connection.get())), facts);
    read_domain_capabilities(take_text(virConnectGetDomainCapabilities(connection.get(), nullptr,
                                                                       "x86_64", "q35", "qemu", 0)),
                             facts);
    read_host(facts);
    for (const Domain& domain : all_domains(connection)) {
      std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
      if (virDomainGetUUIDString(domain.get(), uuid.data()) == 0)
        facts.domain_uuids.emplace_back(uuid.data());
      if (virDomainIsActive(domain.get()) == 1)
        read_cards_in_use(take_text(virDomainGetXMLDesc(domain.get(), 0)), facts);
    }
    return facts;
  }

  QemuUser qemu_user() override {
    Connection connection = connection_.now();
    return read_qemu_user(take_text(virConnectGetCapabilities(connection.get())));
  }

  Bridges* bridges() override { return is_local_ ? &bridges_ : nullptr; }

  bool has_network(const std::string& name) override {
    Connection connection = connection_.now();
    Network network(virNetworkLookupByName(connection.get(), name.c_str()));
    return network != nullptr && virNetworkIsActive(network.get()) == 1;
  }

  void ensure_network(const NetworkPlan& plan) override {
    std::lock_guard<std::mutex> one_at_a_time(network_mutex_);
    Connection connection = connection_.now();
    Network known(virNetworkLookupByName(connection.get(), plan.name.c_str()));
    if (plan.mode == NetworkMode::isolated) guard_isolated_bridges();
    if (known != nullptr && virNetworkIsActive(known.get()) == 1) return;
    if (known != nullptr) {
      if (virNetworkCreate(known.get()) != 0)
        throw last_error("cannot start the network " + plan.name);
      return;
    }
    Network made(virNetworkCreateXML(connection.get(), network_xml(plan).c_str()));
    if (made == nullptr) throw last_error("cannot create the network " + plan.name);
    // From now on its bridge keeps the rules in place; until it existed, someone may have removed
    // the last network's rules.
    if (plan.mode == NetworkMode::isolated) guard_isolated_bridges();
  }

  bool keep_isolation() override { return keep_guarding_isolated_bridges(); }

  void remove_network(const std::string& name) override {
    std::lock_guard<std::mutex> one_at_a_time(network_mutex_);
    Connection connection = connection_.now();
    Network network(virNetworkLookupByName(connection.get(), name.c_str()));
    if (network != nullptr && virNetworkDestroy(network.get()) != 0)
      throw last_error("cannot remove the network " + name);
    release_isolated_bridges();
  }

  std::string refusal_of(const std::string& domain_xml) override {
    Connection connection = connection_.now();
    // Builds the whole command line of QEMU, with all addresses on all buses.
    std::string line = take_text(
        virConnectDomainXMLToNative(connection.get(), "qemu-argv", domain_xml.c_str(), 0));
    return line.empty() ? last_error("libvirt does not accept the domain").message() : "";
  }

  void define(const std::string& domain_xml) override {
    Connection connection = connection_.now();
    Domain domain(virDomainDefineXML(connection.get(), domain_xml.c_str()));
    if (domain == nullptr) throw last_error("libvirt does not accept the domain");
  }

  void undefine(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = find(connection, name);
    if (domain != nullptr && !libvirt::undefine(domain.get()) && find(connection, name) != nullptr)
      throw last_error("cannot remove the domain " + name);
  }

  bool has_checkpoint(const std::string& name, const std::string& checkpoint) override {
    Connection connection = connection_.now();
    Domain domain = find(connection, name);
    return domain != nullptr && libvirt::has_checkpoint(domain.get(), checkpoint);
  }

  void set_checkpoint(const std::string& name, const CheckpointPlan& plan) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    if (!libvirt::set_checkpoint(domain.get(), plan))
      throw last_error("cannot track the changes of " + name);
  }

  DomainEnd last_end(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = find(connection, name);
    return domain == nullptr ? DomainEnd::unknown : libvirt::last_end(domain.get());
  }

  void start(const std::string& domain_xml) override { create(domain_xml, 0); }
  void start_paused(const std::string& domain_xml) override {
    create(domain_xml, VIR_DOMAIN_START_PAUSED);
  }

  void enable_reconnect(const std::string& name,
                        const std::vector<BackingExport>& exports) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    libvirt::enable_reconnect(exports, monitor_of(domain));
  }

  void release_exports(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    remove_unused(monitor_of(domain));
  }

  void start_pull(const std::string& name, const std::string& overlay_path,
                  uint64_t bandwidth) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    if (virDomainBlockPull(domain.get(), overlay_path.c_str(), bandwidth,
                           VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES) != 0)
      throw last_error("cannot copy the disk of " + name);
  }

  std::optional<PullJob> pull_progress(const std::string& name,
                                       const std::string& overlay_path) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    virDomainBlockJobInfo info{};
    int found = virDomainGetBlockJobInfo(domain.get(), overlay_path.c_str(), &info, 0);
    if (found < 0)
      throw last_error("cannot query the copying of the disk of " + name + " is copied");
    if (found == 0) return std::nullopt;
    return PullJob{info.cur, info.end};
  }

  void cancel_pull(const std::string& name, const std::string& overlay_path) override {
    if (!pull_progress(name, overlay_path)) return;
    apply(name, "end the copying of the disk of", [&](virDomainPtr domain) {
      return virDomainBlockJobAbort(domain, overlay_path.c_str(), 0);
    });
  }

  std::vector<DomainSummary> list() override {
    Connection connection = connection_.now();
    std::vector<DomainSummary> summaries;
    for (const Domain& domain : all_domains(connection)) {
      char* metadata = virDomainGetXMLDesc(domain.get(), 0);
      std::optional<DomainMark> mark = read_mark(take_text(metadata));
      if (!mark) continue;
      DomainSummary summary;
      summary.name = virDomainGetName(domain.get());
      std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
      virDomainGetUUIDString(domain.get(), uuid.data());
      summary.uuid = uuid.data();
      summary.boot = mark->boot;
      summary.state_directory = mark->state_directory;
      summary.state = state_of(domain.get());
      summaries.push_back(std::move(summary));
    }
    return summaries;
  }

  DomainState state(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = find(connection, name);
    return domain == nullptr ? DomainState::off : state_of(domain.get());
  }

  std::string domain_xml(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    char* text = virDomainGetXMLDesc(domain.get(), 0);
    if (text == nullptr) throw last_error("cannot read the domain " + name);
    return take_text(text);
  }

  void destroy(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = find(connection, name);
    if (domain == nullptr || state_of(domain.get()) == DomainState::off) return;
    if (virDomainDestroy(domain.get()) != 0 && state(name) != DomainState::off) {
      throw last_error("cannot end the domain " + name);
    }
  }

  void shutdown(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    bool asked = virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0 ||
                 virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0;
    if (!asked) throw last_error("cannot query the guest of " + name + " to shut down");
  }

  void reset(const std::string& name) override {
    apply(name, "reset", [](virDomainPtr d) { return virDomainReset(d, 0); });
  }
  void pause(const std::string& name) override { apply(name, "pause", virDomainSuspend); }
  void resume(const std::string& name) override { apply(name, "resume", virDomainResume); }

  Screenshot screenshot(const std::string& name) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    std::unique_ptr<virStream, Free<virStream, virStreamFree>> stream(
        virStreamNew(connection.get(), 0));
    Screenshot picture;
    char* type =
        stream == nullptr ? nullptr : virDomainScreenshot(domain.get(), stream.get(), 0, 0);
    if (type == nullptr) throw last_error("cannot take a picture of " + name);
    picture.mime_type = take_text(type);
    auto append = [](virStreamPtr, const char* data, size_t size, void* opaque) {
      auto* bytes = static_cast<base::Bytes*>(opaque);
      constexpr size_t kLimit = 64u << 20;
      if (bytes->size() + size > kLimit) return -1;
      bytes->insert(bytes->end(), data, data + size);
      return static_cast<int>(size);
    };
    if (virStreamRecvAll(stream.get(), append, &picture.bytes) != 0)
      throw last_error("cannot read the picture of " + name);
    virStreamFinish(stream.get());
    return picture;
  }

  std::vector<AddressClaim> address_claims(const std::string& name, ClaimSource source) override {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    if (source == ClaimSource::leases) return leases_of(domain.get());
    // virDomainInterfaceAddresses would wait forever for an agent that accepted the request and is
    // then silent.
    char* reply = virDomainQemuAgentCommand(
        domain.get(), R"({"execute":"guest-network-get-interfaces"})", kAgentTimeout, 0);
    return read_agent_addresses(take_text(reply));
  }

  std::string bridge_of(const std::string& name) override {
    Connection connection = connection_.now();
    Network network(virNetworkLookupByName(connection.get(), name.c_str()));
    return network == nullptr ? "" : take_text(virNetworkGetBridgeName(network.get()));
  }

 private:
  void create(const std::string& domain_xml, unsigned flags) {
    Connection connection = connection_.now();
    Domain domain(virDomainCreateXML(connection.get(), domain_xml.c_str(), flags));
    if (domain == nullptr) throw last_error("QEMU did not start");
  }

  // Must not outlive `domain`.
  static Monitor monitor_of(const Domain& domain) {
    return [&domain](const std::string& request) {
      char* answer = nullptr;
      if (virDomainQemuMonitorCommand(domain.get(), request.c_str(), &answer, 0) != 0) {
        throw last_error("QEMU's monitor did not answer");
      }
      return take_text(answer);
    };
  }

  static std::string version_text(unsigned long version) {
    return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
  }

  static std::vector<AddressClaim> leases_of(virDomainPtr domain) {
    std::vector<AddressClaim> claims;
    virDomainInterfacePtr* interfaces = nullptr;
    int count = virDomainInterfaceAddresses(domain, &interfaces,
                                            VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0);
    for (int i = 0; i < count; ++i) {
      const char* mac = interfaces[i]->hwaddr;
      for (unsigned int j = 0; j < interfaces[i]->naddrs && mac != nullptr; ++j) {
        const virDomainIPAddress& address = interfaces[i]->addrs[j];
        claims.push_back({mac, address.addr == nullptr ? "" : address.addr, address.prefix, true});
      }
      virDomainInterfaceFree(interfaces[i]);
    }
    ::free(interfaces);
    return claims;
  }

  static std::vector<Domain> all_domains(const Connection& connection) {
    virDomainPtr* raw = nullptr;
    int count = virConnectListAllDomains(connection.get(), &raw, 0);
    if (count < 0) throw last_error("cannot list the domains");
    std::vector<Domain> domains;
    for (int i = 0; i < count; ++i) domains.emplace_back(raw[i]);
    ::free(raw);
    return domains;
  }

  static Domain find(const Connection& connection, const std::string& name) {
    Domain domain(virDomainLookupByName(connection.get(), name.c_str()));
    virErrorPtr error = virGetLastError();
    if (domain == nullptr && error != nullptr && error->code != VIR_ERR_NO_DOMAIN) {
      throw last_error("cannot look for the domain " + name);
    }
    return domain;
  }

  static Domain open(const Connection& connection, const std::string& name) {
    Domain domain = find(connection, name);
    if (domain == nullptr) throw Error(ErrorCode::not_found, "no domain " + name + " runs");
    return domain;
  }

  template <typename Action>
  void apply(const std::string& name, const char* verb, Action action) {
    Connection connection = connection_.now();
    Domain domain = open(connection, name);
    if (action(domain.get()) != 0) throw last_error(fmt::format("cannot {} {}", verb, name));
  }

  const bool is_local_;
  LinuxBridges bridges_;
  KeptConnection connection_;
  // Held while a network is created: two at once would choose one subnet.
  std::mutex network_mutex_;
};

}  // namespace

std::unique_ptr<Hypervisor> connect(const std::string& uri) {
  return std::make_unique<LibvirtHypervisor>(uri);
}

}  // namespace appliance::boot::libvirt
