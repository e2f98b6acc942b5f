// What a test boot saw of its guest, as values: the one input of the verdict, and what a person is
// shown to believe it. Times are milliseconds since QEMU was started. Values; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace appliance::verify {

enum class Signal {
  agent,      // the guest agent answers
  service,    // a TCP port or an HTTP server: `subject` is the check, "tcp:22", "http:80/"
  script,     // a command in the guest or on the appliance: `subject` is the check
  screen,     // the screen shows something new; `meaning` is what its text says
  serial,     // the serial console said something that means something
  address,    // `good`: the guest answers at the address `subject` inside the test network; else
              // it does not, `detail` says why; without a subject the appliance could not ask
  reboot,     // the guest restarted itself
  power_off,  // the guest switched itself off
  volume,     // a partition or a bare disk, `subject`, holds a file system or a volume of the type
              // `detail`; or nothing that can be recognised, where it is not `good`
  file_system,          // a file system was checked: `subject` is "vda1 (ext4)"
  file_system_skipped,  // one was not: `detail` says why
  trouble,              // the appliance's own: nothing is said about the machine
};

// What a text on a screen or a serial line says about a boot.
enum class TextMeaning {
  nothing,       // empty, or too little to be read
  other,         // readable, but it says nothing certain
  booting,       // firmware, boot loader or kernel at work
  login,         // the system is up and asks for a user
  no_system,     // no bootable device, no boot code
  boot_loader,   // the boot loader is lost: GRUB rescue, BOOTMGR is missing
  no_root,       // the root file system is not there or cannot be mounted; an initramfs shell
  emergency,     // the system gave up starting: emergency or recovery mode
  kernel_panic,  // the kernel ended itself
  blue_screen,   // Windows ended itself
};
bool means_failure(TextMeaning meaning);
std::string_view meaning_sentence(TextMeaning meaning);  // "The kernel panicked", for reasons

struct Observation {
  uint64_t at_ms = 0;
  Signal signal = Signal::screen;
  bool good = false;    // of agent, service, script, volume, file_system
  std::string subject;  // which one of several
  std::string detail;   // for people: "SSH-2.0-…", the line of text that decided
  TextMeaning meaning = TextMeaning::nothing;  // of screen and serial
};

// In the order in which it was learned: an answer may have come, or a restart begun, a little
// before what stands in front of it. Only changes are noted, so a long test boot stays small.
struct Evidence {
  std::vector<Observation> observations;
  uint64_t last_change_ms = 0;  // when screen, serial line or disks last moved
  uint64_t last_read_ms = 0;    // when the disks last moved
  bool disks_pending = false;   // file systems are still being checked
  uint64_t disks_over_ms = 0;   // when the last of them was done

  static constexpr size_t kMaxObservations = 1000;
  static constexpr size_t kMaxWithKept = 2000;  // with failures, restarts and trouble
  // When it is full, what a later one of the same subject has made void goes, oldest first; the
  // last of each subject, the first good one, failures, restarts and trouble stay.
  void add(Observation observation);
};

// What a machine must show to pass, beyond being up.
struct Expectation {
  // "agent", "tcp:22", "http:80/", "guest:COMMAND", "appliance:NAME"; "volume:vda1" only learned.
  std::string check;
  bool learned = false;  // it answered in earlier passes; nobody asked for it
};
constexpr std::string_view kVolumeCheck = "volume:";
inline bool is_of_volume(const Expectation& expected) {
  return expected.check.starts_with(kVolumeCheck);
}

enum class VerdictKind { pass, fail, inconclusive };
std::string_view verdict_name(VerdictKind kind);
VerdictKind verdict_from_name(std::string_view name);  // throws invalid_argument

struct Verdict {
  VerdictKind kind = VerdictKind::inconclusive;
  std::vector<std::string> reasons;    // sentences, the decisive one first
  std::optional<uint64_t> service_ms;  // until all that was demanded answered
  // When the decisive signal was seen; nothing where it was that nothing came.
  std::optional<uint64_t> decisive_ms;
};

std::string_view signal_name(Signal signal);

}  // namespace appliance::verify
