// Moves a running instant VM to local storage: QEMU copies what is below the overlays into them
// (libvirt's block pull) while the guest works. What the guest overwrites meanwhile is not copied.
//
// Every step can be interrupted. boot.json says "pulling" before the first byte is copied, so that
// a new daemon continues the pull; QEMU keeps copying without any daemon. A pull that failed or was
// cancelled leaves what it has copied in the overlay, and the next one copies only the rest. At the
// end each disk's chain is only the overlay; then, in this order, the connections to the export are
// closed, domain.xml no longer mentions the export (so that power-on needs none), boot.json says
// "local", and the export ends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

struct PullProgress {
  uint64_t done = 0;   // bytes of disks that are local
  uint64_t total = 0;  // bytes of all disks, as the guest sees them
};

// The maximum number of bytes that the overlays may come to need: all data of the point's disks,
// and qcow2's tables. Opens the record's store. Throws what opening it throws.
uint64_t room_to_pull(const BootRecord& record);

// Runs an action on the VM's record under the VM's lock.
using WithRecord =
    std::function<void(const std::function<void(BootRecord&, const BootPaths&)>& action)>;

// One pull, without a thread of its own: its owner calls step() every half second. Not thread-safe.
class BlockPull {
 public:
  // Marks the VM as pulling, and copies nothing yet. `bandwidth` is in bytes per second per disk;
  // 0: no limit. Throws busy if the VM is not running.
  BlockPull(Hypervisor& hypervisor, WithRecord with_record, uint64_t bandwidth);
  ~BlockPull();  // QEMU continues copying

  // Starts and restarts the copying. True once the VM no longer needs export and store; then this
  // object has done its work. Throws busy if the VM has ended, io if QEMU fails again and again;
  // the pull ends then, too.
  bool step();
  // Ends the copying; what was copied stays. For a pull that is no longer wanted, not for a daemon
  // that stops: the next daemon continues the pull.
  void give_up();
  PullProgress progress() const;

 private:
  struct Disk;
  bool look();
  void look_at(Disk& each);
  void count_failure(Disk& each);
  [[noreturn]] void end_with_the_guest();
  void mark_over();
  void finish();

  Hypervisor& hypervisor_;
  const WithRecord with_record_;
  const uint64_t bandwidth_;
  std::string domain_, machine_;
  std::vector<Disk> disks_;
};

// A domain's definition with every disk on its overlay alone.
std::string without_exports(const std::string& domain_xml);

// False once the disk on `overlay_path` has nothing below it.
bool has_backing(const std::string& domain_xml, const std::string& overlay_path);

}  // namespace appliance::boot
