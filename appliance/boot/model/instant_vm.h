// An instant VM as values: how it is requested, and what is known about it while it exists. Values;
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/node_id.h"
#include "appliance/access/tenant_name.h"
#include "images/ids.h"
#include "images/point.h"
#include "images/store_reference.h"

namespace appliance::boot {

// One start of one point. Its hex form (16 digits) is what people type.
using BootId = images::Id<struct BootTag, 8>;

enum class Purpose {
  instant,  // used by people; lives until it is stopped
  test,     // a test boot, started to be judged and stopped
};

enum class Accelerator {
  automatic,  // KVM if a trial shows that it works, otherwise TCG
  kvm,
  tcg,
};

enum class DiskBus { virtio, scsi, sata, ide };

enum class NetworkMode {
  none,      // no card
  isolated,  // the VMs of one isolated network and the appliance reach each other, and nothing else
  nat,       // as isolated, and outwards under the appliance's address
  bridge,    // on the named bridge of the appliance: the client's own network
};

enum class MacChoice { keep, fresh };

// What happens to an instant VM that was ended neither by its guest nor by a person: the appliance
// lost power, QEMU was killed.
enum class RestartPolicy {
  automatic,  // it is restarted from its overlay
  wait,       // until someone powers it on
};

// Whose syncs are added to the machine's timeline while this VM exists.
enum class Timeline {
  instant,     // the VM's own; those of the machine's host are refused meanwhile
  production,  // those of the machine's host: the VM is a trial, and its writes are not protected
};

struct NetworkChoice {
  NetworkMode mode = NetworkMode::isolated;
  // Of the bridge; of an isolated network other than the tenant's usual one, or empty.
  std::string name;
};

// Whether a Windows is made to start on hardware that it did not have.
enum class WindowsPreparation { automatic, none };

// What the caller wants to differ from the machine's definition.
struct BootOptions {
  Purpose purpose = Purpose::instant;
  std::optional<uint32_t> cpu_count;
  std::optional<uint64_t> memory_size;  // bytes
  std::optional<DiskBus> disk_bus;
  std::optional<images::Firmware> firmware;
  // Card i gets networks[i], further cards get the last one. Empty: all isolated.
  std::vector<NetworkChoice> networks;
  MacChoice macs = MacChoice::keep;
  RestartPolicy restart = RestartPolicy::automatic;
  Timeline timeline = Timeline::instant;
  // Also starts a point that is known to be damaged: reads of missing data are I/O errors then.
  bool accept_damage = false;
  WindowsPreparation windows = WindowsPreparation::automatic;
  std::string requested_by;  // as access::Requester; kept for people to read
};

enum class VmState {
  starting,  // being created
  running,
  paused,  // by a person, or because its disk does not answer: see InstantVm::problem
  // The guest powered itself off, or QEMU died (InstantVm::problem says so); the overlay still
  // exists.
  ended,
  kept,  // stopped with its overlay kept
};

struct VmConsole {
  std::string host;             // "127.0.0.1"
  uint16_t vnc_port = 0;        // 0: none now
  uint16_t websocket_port = 0;  // VNC in a WebSocket, as noVNC speaks it
  std::string password;         // 8 characters; a secret
};

struct VmNetworkCard {
  std::string mac;
  NetworkMode mode = NetworkMode::none;
  std::string source;  // the libvirt network or the bridge
};

struct VmDisk {
  std::string name;           // "vda", as in the point
  std::string target;         // as in the domain: differs if the disk is on another bus
  std::string overlay_path;   // contains the writes
  uint64_t size = 0;          // bytes
  uint64_t overlay_size = 0;  // bytes on the appliance's disk
};

struct InstantVm {
  BootId id;
  Purpose purpose = Purpose::instant;
  VmState state = VmState::starting;
  std::string problem;  // a sentence; empty if there is none
  images::PointId point;
  std::string machine_name;
  access::TenantName tenant;       // whose machine it is
  std::string requested_by;        // who asked for it; empty in records of a version without it
  access::NodeId node;             // whose process has it; zero in records of a version without it
  images::StoreReference store;    // its paths are not for answers of the API
  uint64_t started_ms = 0;         // UTC
  uint64_t start_duration_ms = 0;  // from the request until QEMU ran
  std::string domain_name;         // as libvirt knows it: "muletto-MACHINE-1f2e3d4c"
  Accelerator accelerator = Accelerator::tcg;  // kvm or tcg
  images::Firmware firmware = images::Firmware::bios;
  uint32_t cpu_count = 0;
  uint64_t memory_size = 0;  // bytes
  std::vector<VmDisk> disks;
  std::vector<VmNetworkCard> network_cards;
  VmConsole console;
  bool is_pulling = false;      // it is being moved to local storage
  uint64_t pull_bandwidth = 0;  // bytes per second, as requested for the move; 0: no limit
  bool is_local = false;        // it was moved: it no longer needs its store or its point
  std::string serial_log_path;
  RestartPolicy restart = RestartPolicy::automatic;
  Timeline timeline = Timeline::instant;
  uint32_t restart_count = 0;            // after a power loss and the like
  std::optional<uint64_t> restarted_ms;  // UTC, the last restart
  std::vector<std::string> notes;        // sentences: what was adapted to this appliance, and why
};

enum class PowerAction {
  shutdown,  // asks the guest: agent, then ACPI; returns at once
  reset,     // like the reset button
  pause,
  resume,
  power_off,  // cuts the power; the overlay stays
  power_on,   // starts an ended or kept VM again from its overlay
};

// What may be changed of an instant VM; each given value replaces the old one.
struct BootChanges {
  std::optional<RestartPolicy> restart;
  std::optional<Timeline> timeline;
};

struct StopOptions {
  bool keep_overlay = false;  // otherwise the writes are discarded
  uint32_t shutdown_timeout_s =
      0;  // asks the guest first and waits that long; 0: cuts the power at once
};

// Words of the API, the command line and boot.json. The *_from_name functions throw
// invalid_argument.
std::string_view purpose_name(Purpose purpose);
Purpose purpose_from_name(std::string_view name);
std::string_view accelerator_name(Accelerator accelerator);  // "auto", "kvm", "tcg"
Accelerator accelerator_from_name(std::string_view name);
std::string_view disk_bus_name(DiskBus bus);
DiskBus disk_bus_from_name(std::string_view name);
WindowsPreparation windows_preparation_from_name(std::string_view name);
std::string_view restart_policy_name(RestartPolicy policy);
RestartPolicy restart_policy_from_name(std::string_view name);
std::string_view timeline_name(Timeline timeline);
Timeline timeline_from_name(std::string_view name);
std::string_view vm_state_name(VmState state);
std::string_view power_action_name(PowerAction action);  // "shutdown", "power-off", …
PowerAction power_action_from_name(std::string_view name);
// "none", "isolated", "isolated:drill", "nat", "bridge:br0". Names have at most 15 letters, digits,
// '-', '_' and '.'.
std::string network_choice_name(const NetworkChoice& choice);
NetworkChoice network_choice_from_name(std::string_view name);

}  // namespace appliance::boot
