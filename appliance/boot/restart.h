// What happens to an instant VM whose domain is not running: decisions, pure so that each can be
// tested, and the preparations. Times are milliseconds since 1970 in UTC. Thread-safe.
//
// A guest that powered itself off must not be restarted, and one that was interrupted must be. The
// hypervisor says how it ended. After the hypervisor was itself restarted, for example because of a
// power loss, it does not know, and then the VM counts as interrupted: a guest's own end is in the
// record within a second (phase `ended`). Only a guest that ends while no daemon is running, just
// before the power fails, is mistaken for one that was interrupted.
#pragma once

#include <cstdint>

#include <string>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

constexpr uint32_t kMaxFailedRestarts = 8;  // in a row; then an operator is needed
// A restart counts as successful once the VM has run for this long.
constexpr uint64_t kSettledAfterMs = 10'000;

enum class AfterEnd {
  rest,     // it has ended for good: end its export too
  wait,     // it was interrupted, and an operator has to switch it on
  restart,  // now
  later,    // a restart failed; not before record.next_restart_ms
  give_up,  // too many failed
};

// For a record in phase `started` whose domain is off.
AfterEnd after_end(const BootRecord& record, DomainEnd end, uint64_t now_ms);

// Defines a domain that stays defined while it is not running, and whose changes since the boot
// point are tracked: see overlay.h. Without tracking it can still be started, and is synced by full
// reads: that is only logged.
enum class Overlays {
  fresh,  // just created
  used,   // by a QEMU that may have been killed
};
void define_tracked(Hypervisor& hypervisor, const BootRecord& record, const std::string& domain_xml,
                    Overlays overlays);

// Records that a restart is about to be attempted: until the VM has run for kSettledAfterMs it
// counts as failed, so that a crash of the daemon during it counts too.
void count_attempt(BootRecord& record, uint64_t now_ms);

}  // namespace appliance::boot
