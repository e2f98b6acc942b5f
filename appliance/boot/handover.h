// What the boot service does while a failback brings a VM home (docs/failback.md): it keeps who may
// run the machine, and refuses every other start.
//
// The holder is in boot.json, which is read and written under the VM's lock. It leaves `here` only
// when the VM's end has been seen, by the hypervisor and by QEMU's locks on its overlays; it becomes
// `home` only when nothing here has the disks open; and it comes back from `home` only for the number
// of the very order to start it, which home has voided: an older catalog, put back from a backup, does
// not know that number.
//
// Each function is durable when it returns, may be called again after a crash, and throws not_found
// for a VM that does not exist, busy if it belongs to another failback. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/boot/boot_lookup.h"
#include "appliance/boot/boot_operations.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

struct HandoverView {
  InstantVm vm;  // from its record: without state, console and sizes
  Holder holder = Holder::here;
  int64_t failback = 0;  // 0: none
  std::string start_number;
  DomainState domain = DomainState::off;
};

class Handover {
 public:
  Handover(Hypervisor& hypervisor, const BootLookup& lookup, BootOperations& operations)
      : hypervisor_(hypervisor), lookup_(lookup), operations_(operations) {}

  HandoverView look(const BootId& id) const;

  // From now on the VM belongs to this failback (> 0): it is neither stopped nor changed otherwise.
  void claim(const BootId& id, int64_t failback);
  // It does not any more. The holder must be `here` (busy otherwise).
  void release(const BootId& id, int64_t failback);

  // Asks the guest to shut down, or cuts its power; returns at once. No error if it is off.
  void ask_to_end(const BootId& id, int64_t failback);
  void cut_power(const BootId& id, int64_t failback);

  // If the VM is off and nothing has its overlays open, the holder is `nobody` when this returns true.
  // False: not yet.
  bool take_from_here(const BootId& id, int64_t failback);
  // Its disks can be read while this lasts: QEMU has them, and the guest does nothing.
  void open_for_reading(const BootId& id, int64_t failback);
  void end_reading(const BootId& id, int64_t failback);

  // The holder is `home`, by this number (not empty), and the machine's timeline is home's. Throws busy
  // while anything has the disks open.
  void give_home(const BootId& id, int64_t failback, const std::string& number);

  // The holder is `here` again, and the VM is started. `voided`: the number that home will never start
  // it for; it counts only if the holder is `home` (busy if it is another number). Throws what a start
  // throws, with the holder `here` already: the VM is then restarted as after any interruption.
  void take_back(const BootId& id, int64_t failback, const std::string& voided);

  // Home has the machine for good: the VM and its overlays are removed.
  void give_up(const BootId& id, int64_t failback);

 private:
  BootRecord open(const BootId& id, int64_t failback) const;
  // Neither a domain nor a program of QEMU's has the disks.
  bool is_at_rest(const BootRecord& record) const;
  void save(const BootRecord& record) const;

  Hypervisor& hypervisor_;
  const BootLookup& lookup_;
  BootOperations& operations_;
};

}  // namespace appliance::boot
