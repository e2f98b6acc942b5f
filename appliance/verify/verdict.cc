// The questions are in order of certainty:
//
//   1  does the appliance itself have a problem?                 inconclusive
//   2  did the guest power itself off, or restart endlessly?     fail
//   3  does a text say that it failed, and stay?                 fail
//   4  is a file system damaged, or has a volume disappeared?    fail
//   5  is it up, and does everything required answer?            pass
//   6  is it up, and something required stays silent?            fail
//   7  does it wait for a person?                                inconclusive
//   8  has all activity stopped?                                 fail if its text shows a hanging
//                                                                start, else inconclusive
//   9  does it only repeat itself, or is the time over?          inconclusive
//
// A pass waits for the check of the disks, for a while: it runs during the start, and is mostly
// finished before the guest is up. Every verdict says what was found intact and what was not
// checked.
//
// What of the evidence counts is in verdict_summary.h. A missing guest agent is never a reason,
// unless it was required.
#include "appliance/verify/verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/verify/verdict_summary.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

std::string after(uint64_t ms) { return base::format_duration_ms(ms); }

std::string quoted(const Observation& seen) {
  return seen.detail.empty() ? "" : fmt::format(": \"{}\"", seen.detail);
}

// The last failure message of the check.
std::string last_words_of(const Evidence& evidence, const std::string& check) {
  std::string words;
  for (const Observation& seen : evidence.observations) {
    if (seen.subject == check && !seen.good) words = seen.detail;
  }
  return words;
}

std::string sign_sentence(const Observation& seen) {
  if (seen.meaning == TextMeaning::taught_up) {
    return fmt::format("The {} shows after {} what a person called up ({}){}.",
                       seen.signal == Signal::screen ? "screen" : "serial console",
                       after(seen.at_ms), seen.subject, quoted(seen));
  }
  switch (seen.signal) {
    case Signal::agent: return fmt::format("The guest agent answered after {}.", after(seen.at_ms));
    case Signal::service:
      return fmt::format("{} answered after {}{}.", seen.subject, after(seen.at_ms), quoted(seen));
    case Signal::screen:
      return fmt::format("The screen asks for a user after {}{}.", after(seen.at_ms), quoted(seen));
    default:
      return fmt::format("The serial console asks for a user after {}{}.", after(seen.at_ms),
                         quoted(seen));
  }
}

// Decided by one observation.
Verdict decided(VerdictKind kind, VerdictRule rule, const Summary& summary, const Observation& seen,
                std::string reason) {
  return {kind,         {std::move(reason)},
          std::nullopt, seen.at_ms,
          rule,         {static_cast<size_t>(&seen - summary.first)}};
}

Verdict failed(VerdictRule rule, const Summary& summary, const Observation& seen,
               std::string reason) {
  return decided(VerdictKind::fail, rule, summary, seen, std::move(reason));
}

std::string failure_sentence(const Observation& seen) {
  std::string rule = seen.subject.empty() ? "" : fmt::format(" ({})", seen.subject);
  return fmt::format("{}{}{}.", meaning_sentence(seen.meaning), rule, quoted(seen));
}

// A kernel tests its timer within a few milliseconds, in which an emulated machine on a busy
// appliance may not run at all. No damage to a point looks like that.
bool is_of_busy_appliance(const Observation& seen) {
  bool panicked = seen.meaning == TextMeaning::kernel_panic &&
                  seen.detail.find("IO-APIC + timer") != std::string::npos;
  // The same, of a kernel that continues to wait for its timer.
  bool hangs = seen.meaning == TextMeaning::booting &&
               seen.detail.find("timer not connected to IO-APIC") != std::string::npos;
  return panicked || hangs;
}

// How long it must stand still. Time in which it was ready to run and had no processor does not
// count; but nobody waits for more than a few minutes.
uint64_t still_time(const Evidence& evidence, const Summary& summary, const VerdictLimits& limits) {
  uint64_t usual_ms = summary.address == nullptr ? limits.still_ms : limits.still_on_network_ms;
  return std::min(usual_ms + evidence.starved_ms, std::max(usual_ms, limits.stale_ms));
}

std::string busy_sentence(const Observation& seen) {
  return fmt::format(
      "The kernel found no working timer{}: the appliance had too little processor "
      "time to spare, which says nothing about the machine.",
      quoted(seen));
}

// How long a failure must stand before it counts.
uint64_t settle_time(const Observation& failure, const VerdictLimits& limits) {
  if (is_final(&failure)) return 0;
  bool of_shell = failure.meaning == TextMeaning::no_system &&
                  failure.detail.find("UEFI Interactive Shell") != std::string::npos;
  return of_shell ? limits.settle_shell_ms : limits.settle_failure_ms;
}

std::optional<Verdict> judge_ends(const Summary& summary, const std::vector<Expectation>& expected,
                                  const VerdictLimits& limits, uint64_t now_ms) {
  if (summary.trouble != nullptr) {
    return decided(VerdictKind::inconclusive, VerdictRule::appliance_trouble, summary,
                   *summary.trouble, summary.trouble->detail);
  }
  if (summary.failure != nullptr && is_of_busy_appliance(*summary.failure)) {
    return decided(VerdictKind::inconclusive, VerdictRule::busy_appliance, summary,
                   *summary.failure, busy_sentence(*summary.failure));
  }
  if (summary.failure != nullptr) {
    uint64_t settle_ms = settle_time(*summary.failure, limits);
    if (now_ms >= summary.failure->at_ms + settle_ms || summary.power_off != nullptr) {
      Verdict verdict = failed(VerdictRule::failure_text, summary, *summary.failure,
                               failure_sentence(*summary.failure));
      if (settle_ms > limits.settle_failure_ms)
        *verdict.decisive_ms += settle_ms - limits.settle_failure_ms;
      return verdict;
    }
  }
  if (summary.power_off != nullptr) {
    return failed(
        VerdictRule::power_off, summary, *summary.power_off,
        fmt::format("The machine powered itself off after {}.", after(summary.power_off->at_ms)));
  }
  if (summary.reboot_count >= limits.reboot_count) {
    Verdict verdict{VerdictKind::fail,     {}, std::nullopt, summary.last_reboot_ms,
                    VerdictRule::restarts, {}};
    verdict.reasons.push_back(fmt::format("The machine restarted itself {} times within {}.",
                                          summary.reboot_count, after(summary.last_reboot_ms)));
    return verdict;
  }
  if (summary.damage != nullptr) {
    return failed(VerdictRule::damage, summary, *summary.damage,
                  fmt::format("The file system on {} is damaged{}.", summary.damage->subject,
                              quoted(*summary.damage)));
  }
  for (const Expectation& each : expected) {
    if (!is_of_volume(each)) continue;
    std::string volume = each.check.substr(kVolumeCheck.size());
    if (const Observation* loss = loss_of(summary, volume)) {
      return failed(
          VerdictRule::lost_volume, summary, *loss,
          fmt::format("{} holds nothing that can be recognised; in earlier test boots it held a "
                      "file system or a volume.",
                      volume));
    }
  }
  return std::nullopt;
}

bool waits_for_disks(const Evidence& evidence, const VerdictLimits& limits, uint64_t since_ms,
                     uint64_t now_ms) {
  return evidence.disks_pending && now_ms < since_ms + limits.disk_grace_ms;
}

// A guest that cannot be reached was not probed: its services may or may not be dead.
std::string reach_sentence(const Observation& seen) {
  if (seen.subject.empty())
    return fmt::format("The appliance could not probe inside the test network: {}.", seen.detail);
  return fmt::format("The guest's address {} is {}.", seen.subject, seen.detail);
}

std::optional<Verdict> judge_up(const Evidence& evidence, const Summary& summary,
                                const std::vector<Expectation>& expected,
                                const VerdictLimits& limits, uint64_t now_ms) {
  uint64_t up_ms = summary.signs.front()->at_ms, service_ms = up_ms;
  std::vector<std::string> reasons, missing;
  std::vector<size_t> decided_by;
  for (const Expectation& each : expected) {
    if (is_of_volume(each)) continue;
    const Observation* answer = answer_of(summary, each.check);
    if (answer != nullptr) {
      service_ms = std::max(service_ms, answer->at_ms);
      decided_by.push_back(static_cast<size_t>(answer - summary.first));
      if (answer->signal == Signal::script)
        reasons.push_back(
            fmt::format("The check {} succeeded after {}.", each.check, after(answer->at_ms)));
      continue;
    }
    std::string words = last_words_of(evidence, each.check);
    missing.push_back(fmt::format("The system is up, but {} does not answer{}{}.", each.check,
                                  words.empty() ? "" : " (" + words + ")",
                                  each.learned ? "; it did in earlier test boots" : ""));
  }
  std::vector<std::string> signs;
  for (const Observation* sign : summary.signs) {
    signs.push_back(sign_sentence(*sign));
    decided_by.push_back(static_cast<size_t>(sign - summary.first));
  }
  if (missing.empty()) {
    bool settled = now_ms >= service_ms + (service_ms > up_ms ? 0 : limits.settle_up_ms) &&
                   now_ms >= up_ms + limits.settle_up_ms && summary.failure == nullptr;
    if (!settled || waits_for_disks(evidence, limits, service_ms, now_ms)) return std::nullopt;
    uint64_t disks_ms = evidence.disks_pending
                            ? service_ms + limits.disk_grace_ms
                            : std::min(evidence.disks_over_ms, service_ms + limits.disk_grace_ms);
    Verdict verdict{VerdictKind::pass, std::move(signs),
                    service_ms,        std::max(service_ms, disks_ms),
                    VerdictRule::up,   std::move(decided_by)};
    verdict.reasons.insert(verdict.reasons.end(), reasons.begin(), reasons.end());
    return verdict;
  }
  bool idle = now_ms >= std::max(evidence.last_read_ms, up_ms) + limits.idle_grace_ms;
  if (!idle && now_ms < up_ms + limits.service_grace_ms) return std::nullopt;
  Verdict verdict{VerdictKind::fail, std::move(missing),        std::nullopt,
                  std::nullopt,      VerdictRule::silent_check, {}};
  if (summary.unreachable != nullptr) {
    if (summary.unreachable->subject.empty()) verdict.kind = VerdictKind::inconclusive;
    verdict.reasons.push_back(reach_sentence(*summary.unreachable));
  }
  verdict.reasons.insert(verdict.reasons.end(), signs.begin(), signs.end());
  return verdict;
}

// A person is needed, and the appliance has none: nobody knows whether the rest would come up.
std::optional<Verdict> judge_waiting(const Summary& summary, const VerdictLimits& limits,
                                     uint64_t now_ms) {
  if (summary.waiting == nullptr || now_ms < summary.waiting->at_ms + limits.waiting_ms)
    return std::nullopt;
  const Observation& seen = *summary.waiting;
  Verdict verdict = decided(VerdictKind::inconclusive, VerdictRule::waiting, summary, seen,
                            fmt::format("{}{}.", meaning_sentence(seen.meaning), quoted(seen)));
  verdict.decisive_ms = seen.at_ms + limits.waiting_ms;
  return verdict;
}

// What the screen and the serial console said last; nothing if they said nothing.
std::vector<const Observation*> last_texts(const Summary& summary) {
  std::vector<const Observation*> texts;
  for (const Observation* each : {summary.screen, summary.serial}) {
    if (each != nullptr && each->meaning != TextMeaning::nothing) texts.push_back(each);
  }
  return texts;
}

void add_screen(Verdict& verdict, const Evidence& evidence) {
  if (!evidence.screen.empty())
    verdict.reasons.push_back(fmt::format("The screen {}.", evidence.screen));
}

void add_texts(Verdict& verdict, const std::vector<const Observation*>& texts) {
  for (const Observation* each : texts) {
    verdict.reasons.push_back(
        fmt::format("The {} reads{}.", each->signal == Signal::screen ? "screen" : "serial console",
                    each->detail.empty() ? " nothing known" : quoted(*each)));
  }
}

// What is known of a machine that gave no sign of life in all that time.
Verdict judge_stale(VerdictRule rule, const Evidence& evidence, const Summary& summary,
                    std::string reason) {
  Verdict verdict{VerdictKind::inconclusive, {std::move(reason)}, {}, {}, rule, {}};
  if (evidence.starved_ms >= 20'000) {
    verdict.reasons.push_back(
        fmt::format("The appliance had too little processor time to spare: since the last change "
                    "the machine's processes waited {} for a processor.",
                    after(evidence.starved_ms)));
  }
  add_texts(verdict, last_texts(summary));
  if (summary.screen == nullptr || summary.screen->meaning == TextMeaning::nothing)
    add_screen(verdict, evidence);
  return verdict;
}

Verdict judge_still(const Evidence& evidence, const Summary& summary, const VerdictLimits& limits,
                    uint64_t now_ms) {
  uint64_t still = now_ms - std::min(now_ms, evidence.last_change_ms);
  Verdict verdict;
  verdict.rule = VerdictRule::still;
  // More was needed than anybody waits for.
  bool starved = still_time(evidence, summary, limits) == limits.stale_ms;
  std::string standing = fmt::format(
      "there has been no activity on screen, serial console and disks for {}", after(still));
  auto texts = last_texts(summary);
  for (const Observation* each : texts)
    verdict.decided_by.push_back(static_cast<size_t>(each - summary.first));
  bool only_boots = std::all_of(texts.begin(), texts.end(), [](const Observation* each) {
    return each->meaning == TextMeaning::booting;
  });
  if (texts.empty()) {
    verdict.reasons.push_back(fmt::format("There is no sign of life; {}.", standing));
    add_screen(verdict, evidence);
  } else if (only_boots && is_of_busy_appliance(*texts.back())) {
    verdict.reasons.push_back(busy_sentence(*texts.back()));
  } else if (only_boots && starved) {
    verdict.reasons.push_back(fmt::format(
        "The start stands still{}, but the appliance had too little processor time to spare: in {} "
        "the machine's processes waited {} for a processor. That says nothing about the machine.",
        quoted(*texts.back()), after(still), after(evidence.starved_ms)));
  } else if (only_boots && summary.address == nullptr) {
    verdict.kind = VerdictKind::fail;
    verdict.reasons.push_back(
        fmt::format("The start hangs: {}{}.", standing, quoted(*texts.back())));
  } else {
    verdict.reasons.push_back(fmt::format("There is no certain sign of life; {}.", standing));
    add_texts(verdict, texts);
  }
  if (summary.address != nullptr) {
    verdict.reasons.push_back(
        fmt::format("It took the address {} after {}, but no known service answers there.",
                    summary.address->subject, after(summary.address->at_ms)));
  }
  if (summary.unreachable != nullptr)
    verdict.reasons.push_back(reach_sentence(*summary.unreachable));
  return verdict;
}

// What is known about the disks, after the reasons.
void add_disk_sentences(Verdict& verdict, const Evidence& evidence) {
  std::string whole;
  std::vector<std::string> skipped, known;
  for (const Observation& seen : evidence.observations) {
    if (seen.signal == Signal::file_system && seen.good)
      whole += (whole.empty() ? "" : ", ") + seen.subject;
    if (seen.signal == Signal::file_system_skipped)
      skipped.push_back(fmt::format("{} was not checked: {}.", seen.subject, seen.detail));
    if (seen.signal == Signal::system)
      known.push_back(fmt::format("{} holds {}.", seen.subject, seen.detail));
    if (seen.signal == Signal::remark) known.push_back(seen.detail);
    if (seen.signal == Signal::complaint)
      skipped.push_back(fmt::format("The system reports a problem{}.", quoted(seen)));
  }
  if (!whole.empty()) verdict.reasons.push_back(fmt::format("Checked and whole: {}.", whole));
  verdict.reasons.insert(verdict.reasons.end(), known.begin(), known.end());
  verdict.reasons.insert(verdict.reasons.end(), skipped.begin(), skipped.end());
  if (evidence.disks_pending) {
    verdict.reasons.emplace_back(
        "The check of the file systems had not finished and is not part of this "
        "verdict.");
  }
}

std::optional<Verdict> judge_all(const Evidence& evidence, const std::vector<Expectation>& expected,
                                 const VerdictLimits& limits, uint64_t now_ms) {
  Summary summary = summarize(evidence);
  if (auto verdict = judge_ends(summary, expected, limits, now_ms)) return verdict;
  if (!summary.signs.empty()) {
    if (auto verdict = judge_up(evidence, summary, expected, limits, now_ms)) return verdict;
  } else if (auto verdict = judge_waiting(summary, limits, now_ms)) {
    return verdict;
  } else if (uint64_t over_ms = evidence.last_change_ms + still_time(evidence, summary, limits);
             now_ms >= over_ms && !waits_for_disks(evidence, limits, over_ms, now_ms)) {
    return judge_still(evidence, summary, limits, now_ms);
  }
  if (summary.signs.empty() && now_ms >= evidence.last_news_ms + limits.stale_ms) {
    return judge_stale(VerdictRule::still, evidence, summary,
                       fmt::format("There is no certain sign of life, and for {} nothing new on "
                                   "screen, serial console and disks: what still changes repeats "
                                   "itself.",
                                   after(limits.stale_ms)));
  }
  if (now_ms < limits.total_ms) return std::nullopt;
  return judge_stale(VerdictRule::time_over, evidence, summary,
                     fmt::format("Nothing was certain after {}.", after(limits.total_ms)));
}

}  // namespace

std::optional<Verdict> judge(const Evidence& evidence, const std::vector<Expectation>& expected,
                             const VerdictLimits& limits, uint64_t now_ms) {
  std::optional<Verdict> verdict = judge_all(evidence, expected, limits, now_ms);
  if (verdict) add_disk_sentences(*verdict, evidence);
  return verdict;
}

std::vector<std::string> good_checks(const Evidence& evidence) {
  Summary summary = summarize(evidence);
  std::vector<std::string> checks;
  for (const Observation* sign : summary.signs) {
    bool is_check = sign->signal == Signal::agent || sign->signal == Signal::service;
    if (is_check) checks.push_back(sign->subject);
  }
  for (const auto& [name, seen] : summary.volumes) {
    if (seen->good) checks.push_back(std::string(kVolumeCheck) + name);
  }
  return checks;
}

}  // namespace appliance::verify
