// The operations on instant VMs: start, stop, power, changes, the move to local storage; and the
// locks under which they run. Internal to appliance/boot: other folders use BootService
// (boot_service.h). What happens without a request is done by BootTending (boot_tending.h), using
// the steps below.
//
// Thread-safe: calls for different VMs run concurrently, calls for one VM one after the other. The
// order of the locks is in docs/threads.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "appliance/boot/boot_lookup.h"
#include "appliance/boot/boot_preparation.h"
#include "appliance/boot/boot_service.h"
#include "appliance/boot/files/boot_trace_cache.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"
#include "base/guarded.h"

namespace appliance::boot {

// Why an export is started.
enum class ExportUse {
  first_boot,  // reads ahead, and records
  reboot,      // prefetches; what was rewritten is in the overlay, so nothing is recorded
  running,     // the guest is already running
};

enum class GuestStart {
  running,
  paused,  // only so that its disks can be read: the guest does nothing
};

class BootOperations {
 public:
  // All must outlive it. Creates the folders of `settings`.
  BootOperations(const BootSettings& settings, Hypervisor& hypervisor, const BootLookup& lookup);

  // ---- like BootService's functions of the same names

  AcceleratorVerdict accelerator();
  InstantVm start(const PointSource& source, const images::PointId& point_id,
                  const BootOptions& options, const StepCallback& on_step);
  void stop(const BootId& id, const StopOptions& options);
  InstantVm change(const BootId& id, const BootChanges& changes);
  void power(const BootId& id, PowerAction action);
  std::unique_ptr<BlockPull> begin_pull(const BootId& id, uint64_t bandwidth);

  // As BootService::unprepare().
  InstantVm unprepare(const BootId& id);

  // The first part of a start; nothing is changed. `windows` is what look_into_windows() found.
  Preparation prepare(const PointSource& source, const images::PointId& point_id,
                      const BootOptions& options, const WindowsFindings& windows);
  // Adds to the plan's reasons what the hypervisor has against the domain that it would become.
  void try_definition(const PointSource& source, const BootOptions& options,
                      const AcceleratorVerdict& verdict, Preparation& prepared);

  const BootTraceCache& traces() const { return traces_; }

  // ---- locks

  // Held for the whole of an operation on one VM, including its I/O: that is its purpose.
  std::unique_lock<std::mutex> lock_of(const BootId& id);
  // Holds nothing if another operation on the VM is running.
  std::unique_lock<std::mutex> try_lock_of(const BootId& id);

  // ---- steps, called with the VM's lock held

  void start_export(const BootRecord& record, const BootPaths& paths, ExportUse use);
  void end_export(const BootPaths& paths);  // no error if there is none
  // From its overlays, whatever the state of export, run folder and QEMU. The record is saved.
  // Throws unavailable if its memory is not available, corrupt if an overlay is damaged, busy if the
  // record's holder does not allow it: a guest runs only with `here`, and is read only with `nobody`.
  void start_again(BootRecord& record, const BootPaths& paths,
                   GuestStart how = GuestStart::running);
  // Everything of a stop after it has been recorded; can be repeated.
  void finish_stop(BootRecord& record, const BootPaths& paths);

 private:
  // ---- start

  // Creates folders and boot.json, durably; if it throws, neither exists.
  // From the export to the running domain.
  void bring_up(BootRecord& record, const Preparation& prepared, const StepCallback& step);
  // Of a Windows, in the new overlays, with notes in the record and windows.json beside it. Throws
  // only if an overlay cannot be made again after that failed.
  void prepare_guest(BootRecord& record, const Preparation& prepared, const BootPaths& paths);
  // Networks and the domain; used for the first start and for switching on again.
  void run_domain(BootRecord& record, const BootPaths& paths, const std::string& xml,
                  GuestStart how);
  void power_on(BootRecord& record);   // throws busy if it may not join its networks now
  void power_off(BootRecord& record);  // without asking the guest
  // Leaves the machine's timeline to another VM that holds it, with a note.
  void yield_timeline(BootRecord& record);

  // ---- stop

  // Asks the guest, and returns when it is off or the time is over; failures are only logged.
  void wait_for_shutdown(const BootRecord& record, uint32_t timeout_s);
  // The record's isolated networks that no other VM uses.
  void remove_unused_networks(const BootRecord& record);
  void take_back(BootRecord& record, const BootPaths& paths);  // for unprepare()
  // After a failed start. What cannot be undone now is left to adopt().
  void undo(BootRecord& record, const BootPaths& paths);

  std::mutex& mutex_of(const BootId& id);

  const BootSettings& settings_;
  Hypervisor& hypervisor_;
  const BootLookup& lookup_;
  const BootTraceCache traces_;
  std::mutex trial_mutex_;  // held during the KVM trial: two at once would disturb each other
  // Held from counting the promised memory until the record contains the new promise.
  std::mutex admission_mutex_;
  base::Guarded<std::map<BootId, std::unique_ptr<std::mutex>>> mutexes_;
};

}  // namespace appliance::boot
