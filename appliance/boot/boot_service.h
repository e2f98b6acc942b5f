// Starts, finds, operates and ends instant VMs.
//
// An instant VM is three things that outlive this process: a libvirt domain, one nbdkit process
// that exports the point's disks, and a folder STATE/vms/BOOT-ID with boot.json and the overlays.
// boot.json is durable before anything is started, so after a crash at any moment adopt() can tell
// what to continue and what to clean up. The truth about running VMs is libvirt's (each domain
// carries its boot id in its metadata); nothing is cached here.
//
// A VM belongs to the node (BootSettings::node) and to the state folder that made it. One whose
// record names another is listed and nothing else: adopt() and tend() pass over it, and operations
// on it throw busy. So a copy of a state folder cannot end the original's VMs.
//
// Thread-safe: calls for different VMs run concurrently, calls for one VM one after the other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/node_id.h"
#include "appliance/access/tenant_name.h"
#include "appliance/access/tenant_scope.h"
#include "appliance/boot/block_pull.h"
#include "appliance/boot/guest/guest_search.h"
#include "appliance/boot/host/accelerator_trial.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/instant_vm.h"
#include "appliance/boot/point_pins.h"
#include "images/store/store_reader.h"

namespace appliance::boot {

class Handover;

struct BootSettings {
  std::string state_directory;  // "/var/lib/muletto": boots live in its folder vms/
  // "/run/muletto": sockets, in its folder vms/; a short path (107 bytes).
  std::string run_directory;
  Accelerator accelerator = Accelerator::automatic;
  // Of nbdkit-muletto-plugin.so; empty: MULETTO_PLUGIN, or beside the program.
  std::string plugin_path;
  // Instead of the plugin and its parameters, for tests without a store. Empty: the plugin.
  std::vector<std::string> export_command;
  uint32_t export_thread_count = 16;         // concurrent requests of one nbdkit
  uint64_t export_cache_size = 64ull << 20;  // bytes of memory, per VM
  uint64_t export_disk_cache_size = 0;       // bytes of disk, per VM; 0: none
  // Of the BootTraceCache; empty: boots are neither recorded nor prefetched.
  std::string trace_directory;
  std::string isolated_network = "muletto-isolated";  // libvirt networks, created when first needed
  std::string nat_network = "muletto-nat";
  std::string tpm_directory = "/var/lib/libvirt/swtpm";  // where libvirt keeps emulated TPMs
  // How long QEMU holds the guest's requests while an export is unavailable, before it pauses the
  // guest.
  uint32_t export_reconnect_delay_s = 300;
  access::NodeId node{};  // of this process; written to each record. Others' VMs are only listed
  // The tenant whose store is in that folder, for records of a version that did not write the
  // tenant. Empty: the default tenant.
  std::function<access::TenantName(const std::string& store_directory)> tenant_of_store;
  // Where start() pins its point until boot.json says that it is used. Must outlive the service.
  // Null: no points are deleted while VMs start.
  PointPins* pins = nullptr;
};

// Where a point is read from. `reader` is used only during the call.
struct PointSource {
  images::StoreReader* reader = nullptr;
  images::StoreReference store;  // absolute paths
  access::TenantName tenant;     // whose it is: isolated networks are not shared with others
  // The points that the last check of the store found damaged, and when. Milliseconds since 1970.
  std::map<images::PointId, uint64_t> damaged_points;
};

// What a start would do, and every reason why it would be refused.
struct BootCheck {
  MachinePlan plan;  // its notes and reasons are complete
  std::string machine_name;
  AcceleratorVerdict accelerator;
};

// What start() is doing now: "Starting the export", … for a job's log.
using StepCallback = std::function<void(std::string_view)>;

struct AdoptReport {
  std::vector<InstantVm> running;         // if is_pulling, call begin_pull() again
  std::vector<InstantVm> resting;         // ended or kept: only the overlay exists
  std::vector<InstantVm> interrupted;     // should be running but are not: tend() decides
  std::vector<InstantVm> of_other_nodes;  // not touched
  std::vector<std::string> cleaned;       // sentences: what was left over and has been removed
  std::vector<std::string> problems;      // sentences: what could not be handled
};

class BootService {
 public:
  // `hypervisor` must outlive the service. Creates its folders. Touches no VM: call adopt().
  BootService(BootSettings settings, Hypervisor& hypervisor);
  ~BootService();

  // The accelerator of instant VMs here, and why. The first call may take some seconds: it tries
  // KVM.
  AcceleratorVerdict accelerator();

  // What start() would do now; nothing is changed. Reads little: see disk_check.h.
  BootCheck check(const PointSource& source, const images::PointId& point,
                  const BootOptions& options);

  // Returns when QEMU runs. Throws unsupported or unavailable with all reasons if it cannot be
  // booted, corrupt if a damaged image is among them, invalid_argument for options that make no
  // sense; nothing is left behind then.
  InstantVm start(const PointSource& source, const images::PointId& point,
                  const BootOptions& options, const StepCallback& on_step = {});

  // All VMs in the scope, oldest first. Those of other nodes in the state that their node recorded,
  // without console.
  std::vector<InstantVm> list(const access::TenantScope& scope);
  InstantVm get(const BootId& id);   // throws not_found
  bool is_own(const InstantVm& vm);  // false only if its record names another node or state folder
  // Whose it is, and what to do, to follow "belongs to"; empty if it is our own.
  std::string owner_elsewhere(const InstantVm& vm);
  // The VM in the scope that a person refers to: a boot id, a unique prefix of one, or the name of a
  // machine with just one. Throws not_found, invalid_argument.
  BootId find(std::string_view selector, const access::TenantScope& scope);

  // Ends VM and export. Without keep_overlay nothing of it is left when it returns. Throws
  // not_found.
  void stop(const BootId& id, const StopOptions& options = {});

  // Takes back what was changed in its Windows before its first start, for a return to the hardware
  // it came from: on the overlay of a VM that does not run. A value that has been changed since
  // stays. Its notes say what was taken back. Throws not_found if nothing was changed, busy while it
  // runs, unsupported with the reason for a Windows that is hibernated and the like.
  InstantVm unprepare(const BootId& id);

  // Throws not_found; busy for a timeline that another instant VM of the machine holds.
  InstantVm change(const BootId& id, const BootChanges& changes);

  // The VMs in the scope whose syncs are added to their machines' timelines, oldest first: all with
  // Timeline::instant except those that were stopped, whether they run or not. From the records
  // alone, so that libvirt need not answer; without state, console and sizes.
  std::vector<InstantVm> timeline_holders(const access::TenantScope& scope);

  // Those of this node that were interrupted and are not restarted, either permanently or for now, with the
  // problem. From the records alone, as above.
  std::vector<InstantVm> interrupted(const access::TenantScope& scope);

  // Throws not_found; busy if the VM is in a state in which that is impossible.
  void power(const BootId& id, PowerAction action);

  // Starts to move a running VM to local storage; the caller takes the steps (block_pull.h), before
  // the service ends. Null if it already needs neither export nor point. Throws no_space if there
  // is no room for all of it, busy. May take seconds: it examines everything that the point
  // contains.
  std::unique_ptr<BlockPull> begin_pull(const BootId& id, uint64_t bandwidth);

  Screenshot screenshot(const BootId& id);  // throws busy if it does not run
  // The guest's addresses according to leases and its agent, for people. IPv4 first.
  std::vector<std::string> addresses(const BootId& id);
  // Where it really is: see guest_search.h. Throws not_found.
  GuestSearch search(const BootId& id);
  // At most `limit` bytes of the serial console's log from `offset`.
  std::string serial_log(const BootId& id, uint64_t offset, uint64_t limit);
  // Its size in bytes. If it has become smaller it was restarted: logs are bounded.
  uint64_t serial_size(const BootId& id);

  // Bringing VMs home (handover.h). Lives as long as the service.
  Handover& handover();

  // Once, when the program starts: adopts what is running, completes unfinished stops, cleans up
  // unfinished starts. VMs that were interrupted are left to tend().
  AdoptReport adopt();

  // The guest is known to be up: what it has read so far is what a boot reads.
  void mark_boot_complete(const BootId& id);
  // Call it when a machine's last point is deleted.
  void forget_traces(const images::StoreId& store, const images::MachineId& machine);

  // To be called about every second: restarts exports that died under a running VM and resumes a VM
  // that was paused because of it, ends exports whose VM has ended, restarts VMs that were
  // interrupted (restart.h). Never throws; returns what it did, in sentences.
  std::vector<std::string> tend();

  // Why isolated VMs can reach this machine, or could a moment ago: the firewall rules against it
  // cannot be applied, or something removed them within the last hour. Empty: no problem, as far as
  // tend() knows.
  std::string isolation_problem();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace appliance::boot
