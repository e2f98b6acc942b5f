// What a test boot observed of its guest, as values: the only input of the verdict, and the
// evidence shown to the operator. Times are milliseconds since QEMU was started. Values; not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace appliance::verify {

enum class Signal {
  agent,    // the guest agent answers
  service,  // a TCP port or an HTTP server: `subject` is the check, "tcp:22", "http:80/"
  script,   // a command in the guest or on the appliance: `subject` is the check
  screen,   // the screen shows something new; `meaning` is what its text says
  serial,   // the serial console printed something meaningful
  // `good`: the guest answers at the address `subject` inside the test network; otherwise it does
  // not, and `detail` says why; without a subject the appliance could not probe.
  address,
  reboot,     // the guest restarted itself
  power_off,  // the guest powered itself off
  // A partition or a bare disk, `subject`, holds a file system or a volume of the type `detail`;
  // or, if not `good`, nothing that can be recognised.
  volume,
  file_system,          // a file system was checked: `subject` is "vda1 (ext4)"
  file_system_skipped,  // one was not checked: `detail` says why
  system,               // `subject` holds the operating system `detail`
  remark,     // a sentence, `detail`, for the reasons: what the disks say, what the appliance did
  complaint,  // the system reports a problem that does not keep it from starting: `detail`
  trouble,    // a problem of the appliance's own, which says nothing about the machine
};

// What text on a screen or a serial line says about a boot.
enum class TextMeaning {
  nothing,       // empty, or too little to be read
  other,         // readable, but nothing certain
  booting,       // firmware, boot loader or kernel is working
  passphrase,    // the start waits for the passphrase of an encrypted disk
  question,      // the start waits for another answer of a person: a menu, e2fsck's questions
  other_system,  // an installer or a memory tester: not the machine's own system
  login,         // the system is up and asks for a user
  taught_up,     // a person taught that this text means up, for this machine (taught_text.h)
  no_system,     // no bootable device, no boot code
  boot_loader,   // the boot loader is lost: GRUB rescue, BOOTMGR is missing
  no_root,       // the root file system is missing or cannot be mounted; an initramfs shell
  disk_error,    // the kernel reports errors of a file system or a disk
  emergency,     // the system stopped starting: emergency or recovery mode
  kernel_panic,  // the kernel panicked
  blue_screen,   // Windows stopped with an error
  taught_down,   // a person taught that this text means down, for this machine
};
bool means_failure(TextMeaning meaning);
bool waits_for_person(TextMeaning meaning);              // it will not continue by itself
std::string_view meaning_sentence(TextMeaning meaning);  // "The kernel panicked", for reasons
std::optional<TextMeaning> find_meaning(std::string_view sentence);

struct Observation {
  uint64_t at_ms = 0;
  Signal signal = Signal::screen;
  bool good = false;    // of agent, service, script, volume, file_system
  std::string subject;  // which one of several; of a taught text: "rule 3"
  std::string detail;   // for people: "SSH-2.0-…", the line of text that decided
  TextMeaning meaning = TextMeaning::nothing;  // of screen and serial
};

// In the order in which it was learned: an answer may have come, or a restart begun, slightly
// before the preceding entry. Only changes are recorded, so a long test boot stays small.
struct Evidence {
  std::vector<Observation> observations;
  uint64_t last_change_ms = 0;  // when screen, serial line or disks were last active
  uint64_t last_read_ms = 0;    // when the disks were last active
  uint64_t last_news_ms = 0;    // when any of these was last new (novelty.h)
  // How long one of the VM's threads was ready to run, and waited for a processor, since
  // `last_change_ms`; of the one that waited longest.
  uint64_t starved_ms = 0;
  std::string screen;          // what the screen shows, for people: "is dark", "reads \"…\""
  bool disks_pending = false;  // file systems are still being checked
  uint64_t disks_over_ms = 0;  // when the last of them was finished

  static constexpr size_t kMaxObservations = 1000;
  static constexpr size_t kMaxWithKept = 2000;  // including failures, restarts and trouble
  // When it is full, entries that a later one of the same subject has replaced are dropped, oldest
  // first; the last of each subject, the first good one, failures, restarts and trouble are kept.
  void add(Observation observation);
};

// What a machine must show to pass, besides being up.
struct Expectation {
  // "agent", "tcp:22", "http:80/", "guest:COMMAND", "appliance:NAME"; "volume:vda1" only learned.
  std::string check;
  bool learned = false;  // it answered in earlier passes; not requested by anyone
};
constexpr std::string_view kVolumeCheck = "volume:";
inline bool is_of_volume(const Expectation& expected) {
  return expected.check.starts_with(kVolumeCheck);
}

enum class VerdictKind { pass, fail, inconclusive };
std::string_view verdict_name(VerdictKind kind);
VerdictKind verdict_from_name(std::string_view name);  // throws invalid_argument

// Which of the questions of verdict.cc was decisive.
enum class VerdictRule {
  not_started,        // the test boot could not be started or completed
  appliance_trouble,  // the appliance had a problem of its own
  busy_appliance,     // the guest got too little processor time
  failure_text,
  power_off,
  restarts,
  damage,        // of a file system
  lost_volume,   // nothing is where a volume was in earlier test boots
  up,            // a sign of life, and everything required answers
  silent_check,  // a sign of life, but something required does not answer
  waiting,       // the start waits for a person
  still,         // nothing happens any more
  time_over,
};
std::string_view rule_name(VerdictRule rule);       // "failure-text"
VerdictRule rule_from_name(std::string_view name);  // throws invalid_argument
std::string_view rule_sentence(VerdictRule rule);   // what the rule says, for people

struct Verdict {
  VerdictKind kind = VerdictKind::inconclusive;
  std::vector<std::string> reasons;    // sentences, the decisive one first
  std::optional<uint64_t> service_ms;  // until everything required had answered
  // When the decisive signal was seen; nothing if the verdict rests on the absence of signals.
  std::optional<uint64_t> decisive_ms;
  VerdictRule rule = VerdictRule::not_started;
  std::vector<size_t> decided_by;  // of Evidence::observations; none if their absence decided
};

std::string_view signal_name(Signal signal);
std::optional<Signal> find_signal(std::string_view name);

}  // namespace appliance::verify
