#include "appliance/verify/evidence.h"

#include "base/enum_names.h"

namespace appliance::verify {
namespace {

constexpr auto kVerdicts =
    base::enum_names<VerdictKind>("a verdict", {{VerdictKind::pass, "pass"},
                                                {VerdictKind::fail, "fail"},
                                                {VerdictKind::inconclusive, "inconclusive"}});
constexpr auto kSignals = base::enum_names<Signal>(
    "a signal", {{Signal::agent, "agent"},
                 {Signal::service, "service"},
                 {Signal::script, "script"},
                 {Signal::screen, "screen"},
                 {Signal::serial, "serial"},
                 {Signal::address, "address"},
                 {Signal::reboot, "reboot"},
                 {Signal::power_off, "power off"},
                 {Signal::volume, "volume"},
                 {Signal::file_system, "file system"},
                 {Signal::file_system_skipped, "file system not looked at"},
                 {Signal::system, "operating system"},
                 {Signal::remark, "remark"},
                 {Signal::complaint, "complaint"},
                 {Signal::trouble, "trouble"}});

constexpr auto kRules = base::enum_names<VerdictRule>(
    "a rule of verdicts", {{VerdictRule::not_started, "not-started"},
                           {VerdictRule::appliance_trouble, "appliance-trouble"},
                           {VerdictRule::busy_appliance, "busy-appliance"},
                           {VerdictRule::failure_text, "failure-text"},
                           {VerdictRule::power_off, "power-off"},
                           {VerdictRule::restarts, "restarts"},
                           {VerdictRule::damage, "damage"},
                           {VerdictRule::lost_volume, "lost-volume"},
                           {VerdictRule::up, "up"},
                           {VerdictRule::silent_check, "silent-check"},
                           {VerdictRule::waiting, "waiting"},
                           {VerdictRule::still, "still"},
                           {VerdictRule::time_over, "time-over"}});

}  // namespace

bool means_failure(TextMeaning meaning) { return meaning >= TextMeaning::no_system; }

bool waits_for_person(TextMeaning meaning) {
  return meaning == TextMeaning::passphrase || meaning == TextMeaning::question ||
         meaning == TextMeaning::other_system;
}

std::string_view meaning_sentence(TextMeaning meaning) {
  switch (meaning) {
    case TextMeaning::nothing: return "There is nothing to read";
    case TextMeaning::other: return "There is text that means nothing certain";
    case TextMeaning::booting: return "The machine is starting";
    case TextMeaning::passphrase: return "The start waits for the passphrase of an encrypted disk";
    case TextMeaning::question: return "The start waits for the answer of a person";
    case TextMeaning::other_system:
      return "An installer or a memory tester runs, not the machine's own system";
    case TextMeaning::login: return "The system asks for a user";
    case TextMeaning::no_system: return "The firmware found nothing to boot from";
    case TextMeaning::boot_loader: return "The boot loader does not find its files";
    case TextMeaning::no_root: return "The root file system is missing or cannot be mounted";
    case TextMeaning::disk_error: return "The kernel reports errors of a file system or a disk";
    case TextMeaning::emergency: return "The system stopped starting and asks for help";
    case TextMeaning::kernel_panic: return "The kernel panicked";
    case TextMeaning::blue_screen: return "Windows stopped with an error";
    case TextMeaning::taught_up: return "A person taught that this text means that it is up";
    case TextMeaning::taught_down: return "A person taught that this text means that it is down";
  }
  return "";
}

std::optional<TextMeaning> find_meaning(std::string_view sentence) {
  for (int value = 0; value <= static_cast<int>(TextMeaning::taught_down); ++value) {
    auto meaning = static_cast<TextMeaning>(value);
    if (meaning_sentence(meaning) == sentence) return meaning;
  }
  return std::nullopt;
}

std::string_view rule_name(VerdictRule rule) { return kRules.name(rule); }
VerdictRule rule_from_name(std::string_view name) { return kRules.value(name); }

std::string_view rule_sentence(VerdictRule rule) {
  switch (rule) {
    case VerdictRule::not_started:
      return "The test boot could not be started or completed: no rule was asked.";
    case VerdictRule::appliance_trouble:
      return "A problem of the appliance itself says nothing about the machine: inconclusive.";
    case VerdictRule::busy_appliance:
      return "A kernel that found no working timer had too little processor time: inconclusive.";
    case VerdictRule::failure_text:
      return "A text that means failure stood on a console until it was certain: fail.";
    case VerdictRule::power_off: return "A machine that powers itself off is not up: fail.";
    case VerdictRule::restarts: return "A machine that restarts again and again is not up: fail.";
    case VerdictRule::damage: return "A damaged file system is a fail, even if the machine starts.";
    case VerdictRule::lost_volume:
      return "A volume that was there in the last passes holds nothing known now: fail.";
    case VerdictRule::up:
      return "There is a sign of life, and everything that is required answers: pass.";
    case VerdictRule::silent_check:
      return "There is a sign of life, but something that is required stays silent: fail.";
    case VerdictRule::waiting:
      return "The start waits for a person, whom the appliance does not have: inconclusive.";
    case VerdictRule::still:
      return "Nothing happens any more, and there was no sign of life: fail if the last text shows "
             "a start that hangs, else inconclusive.";
    case VerdictRule::time_over: return "The time is over, and nothing was certain: inconclusive.";
  }
  return "";
}

std::string_view verdict_name(VerdictKind kind) { return kVerdicts.name(kind); }
VerdictKind verdict_from_name(std::string_view name) { return kVerdicts.value(name); }
std::string_view signal_name(Signal signal) { return kSignals.name(signal); }
std::optional<Signal> find_signal(std::string_view name) { return kSignals.find(name); }

namespace {

// A guest can produce any number of addresses and console lines.
bool is_of_same_subject(const Observation& a, const Observation& b) {
  if (a.signal != b.signal) return false;
  bool guest_chooses = a.signal == Signal::address;
  return guest_chooses || a.subject == b.subject;
}

// What is decisive by itself, whatever comes later.
bool is_kept(const Observation& seen) {
  switch (seen.signal) {
    case Signal::trouble:
    case Signal::reboot:
    case Signal::power_off:
    case Signal::volume:
    case Signal::file_system:
    case Signal::file_system_skipped: return true;
    case Signal::system:
    case Signal::remark:
    case Signal::complaint: return true;
    default: return false;
  }
}

// Whether the list says the same without the entry at `index`, now that `later` has arrived: the
// entry is neither the last nor the first good one of its subject, nor the first text of a failure.
bool is_superseded(const std::vector<Observation>& all, size_t index, const Observation& later) {
  const Observation& seen = all[index];
  if (is_kept(seen)) return false;
  bool is_last = !is_of_same_subject(seen, later), is_first_good = seen.good;
  bool is_first_failure = means_failure(seen.meaning);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i == index || !is_of_same_subject(all[i], seen)) continue;
    if (i > index) is_last = false;
    if (i < index && all[i].good) is_first_good = false;
    if (i < index && all[i].meaning == seen.meaning) is_first_failure = false;
  }
  return !is_last && !is_first_good && !is_first_failure;
}

}  // namespace

void Evidence::add(Observation observation) {
  for (size_t i = 0; observations.size() >= kMaxObservations && i < observations.size(); ++i) {
    if (!is_superseded(observations, i, observation)) continue;
    observations.erase(observations.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  size_t most = is_kept(observation) ? kMaxWithKept : kMaxObservations;
  if (observations.size() < most) observations.push_back(std::move(observation));
}

}  // namespace appliance::verify
