// What becomes of an instant VM whose domain does not run: decisions, pure so that each can be
// tested, and what has to be prepared. Times are milliseconds since 1970 in UTC. Thread-safe.
//
// A guest that switched itself off must not be started again, and one that was cut off must be. How
// it ended is what the hypervisor says; it knows nothing after it was started anew itself, as after
// a loss of power, and then the VM was cut off: a guest's own end is in the record within a second
// (phase `ended`). Only a guest that ends while neither daemon looks, just before the power fails,
// is taken for one that was cut off.
#pragma once

#include <cstdint>

#include <string>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

constexpr uint32_t kMaxFailedRestarts = 8;  // in a row; then a person is needed
// A VM that ran this long is counted as restarted well.
constexpr uint64_t kSettledAfterMs = 10'000;

enum class AfterEnd {
  rest,     // it has ended for good: its export too
  wait,     // it was cut off, and a person has to switch it on
  restart,  // now
  later,    // a restart failed; not before record.next_restart_ms
  give_up,  // too many failed
};

// For a record in phase `started` whose domain is off.
AfterEnd after_end(const BootRecord& record, DomainEnd end, uint64_t now_ms);

// A domain that is defined also while it does not run, and whose changes since the boot point are
// tracked: see overlay.h. Without tracking it can still be started, and is synced by full reads:
// that is only logged.
enum class Overlays {
  fresh,  // just made
  used,   // by a QEMU that may have been killed
};
void define_tracked(Hypervisor& hypervisor, const BootRecord& record, const std::string& domain_xml,
                    Overlays overlays);

// Writes into the record that a restart is about to be tried: until it has run for
// kSettledAfterMs it counts as failed, so that a crash of the daemon in it counts too.
void count_attempt(BootRecord& record, uint64_t now_ms);

}  // namespace appliance::boot
