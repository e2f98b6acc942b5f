#include "appliance/verify/test_boot.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "appliance/boot/boot_preparation.h"
#include "appliance/verify/console_text.h"
#include "appliance/verify/disk_checker.h"
#include "appliance/verify/guest_prober.h"
#include "appliance/verify/novelty.h"
#include "appliance/verify/picture.h"
#include "appliance/verify/screen_reader.h"
#include "appliance/verify/serial_tail.h"
#include "appliance/verify/vm_processes.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using Clock = std::chrono::steady_clock;
using base::Error;
using base::ErrorCode;

constexpr std::chrono::milliseconds kRound{300};
constexpr uint64_t kSerialPiece = 64 << 10;
constexpr uint64_t kQuietSerialMs = 5000;
constexpr uint64_t kPausedLimitMs = 15'000;
constexpr uint64_t kTendEveryMs = 1000;
constexpr size_t kMaxWords = 300;  // bytes of evidence
// A screen that has been dark for this long, while nothing else happened, is woken.
constexpr uint64_t kWakeAfterMs = 20'000;  // dark, and between two presses
constexpr uint32_t kWakeLimit = 5;

class Watcher {
 public:
  Watcher(boot::BootService& boots, boot::GuestWatch& watch, const boot::InstantVm& vm,
          const TestBootPlan& plan)
      : boots_(boots), watch_(watch), vm_(vm), plan_(plan), scratch_("/var/tmp", "muletto-screen"),
        processes_(vm.id) {
    processes_.lower_priority();
    gap_count_ = watch_.reboots(vm.domain_name).gap_count;
  }

  TestBootResult run(jobs::JobContext& context) {
    std::vector<std::string> checks;
    for (const Expectation& each : plan_.expected) {
      if (!is_of_volume(each)) checks.push_back(each.check);
    }
    bool networked = std::any_of(
        vm_.network_cards.begin(), vm_.network_cards.end(),
        [](const boot::VmNetworkCard& card) { return card.mode != boot::NetworkMode::none; });
    GuestProber prober({boots_, watch_, vm_.id, vm_.domain_name, networked, plan_.scripts_directory,
                        std::move(checks)});
    DiskChecker disks(disk_plan());
    evidence_.disks_pending = true;
    std::optional<Verdict> passed;
    uint64_t judged_ms = 0, watched_from_ms = 0;
    while (true) {
      context.throw_if_stopped();
      look(prober, disks);
      auto verdict = judge(evidence_, plan_.expected, plan_.limits, seen_ms_);
      if (verdict && verdict->kind != VerdictKind::pass) return result_of(*verdict, now());
      // It restarted, or something contradicts the pass now: everything is open again.
      if (!verdict) passed.reset();
      // Restarts during a time that was not observed are not known.
      if (is_gap_new_) watched_from_ms = now();
      if (verdict && !passed) {
        passed = std::move(verdict);
        judged_ms = watched_from_ms = now();
        boots_.mark_boot_complete(vm_.id);
        if (plan_.on_pass) plan_.on_pass(result_of(*passed, judged_ms));
      }
      if (passed && seen_ms_ >= watched_from_ms + plan_.limits.watch_on_ms)
        return result_of(*passed, judged_ms);
      context.set_progress(
          {now(), 0,
           passed ? fmt::format("{} is up; watching whether it stays up", vm_.machine_name)
                  : fmt::format("watching {}", vm_.machine_name)});
      base::sleep_unless_stopped(context.stop(), kRound);
    }
  }

 private:
  DiskCheckPlan disk_plan() const {
    DiskCheckPlan plan{plan_.source, plan_.point, {}, plan_.volume_keys, plan_.plugin_path};
    for (const boot::VmDisk& disk : vm_.disks) plan.disks.push_back({disk.name, disk.size});
    return plan;
  }

  // The current result; the observation may continue.
  TestBootResult result_of(const Verdict& verdict, uint64_t judged_ms) {
    take_picture(true);
    TestBootResult result;
    result.verdict = verdict;
    result.judged_ms = judged_ms;
    result.seen_ms = seen_ms_;
    result.start_ms = vm_.start_duration_ms;
    result.evidence = evidence_;
    result.pictures = pictures_;
    result.serial = plain_text(serial_.text());
    return result;
  }

  uint64_t now() const { return since_begin(Clock::now()); }
  uint64_t since_begin(Clock::time_point at) const {
    auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(at - begin_);
    return passed.count() < 0 ? 0 : static_cast<uint64_t>(passed.count());
  }

  void note(Observation seen) {
    seen.at_ms = now();
    evidence_.add(std::move(seen));
  }

  void look(GuestProber& prober, DiskChecker& disks) {
    uint64_t began_ms = now();
    take_disks(disks);
    try {
      look_at_life();
      look_at_disks();
      look_at_reboots();  // after an answer from the hypervisor, so that its events have arrived
      look_at_serial();
      take_picture(false);
      wake_dark_screen();
      take_answers(prober);
      note_starvation();
      answering_ms_ = now();
      seen_ms_ = began_ms;
    } catch (const Error& error) {
      // The guest may have ended at this moment; the next round will see it.
      if (now() > answering_ms_ + kPausedLimitMs) {
        note({.signal = Signal::trouble,
              .detail = fmt::format("The guest cannot be observed: {}.", error.message())});
      }
    }
  }

  void look_at_life() {
    if (now() >= tended_ms_ + kTendEveryMs) {
      boots_.tend();
      tended_ms_ = now();
    }
    boot::InstantVm vm = boots_.get(vm_.id);
    if (vm.state == boot::VmState::ended && !ended_) {
      ended_ = true;
      note({.signal = Signal::power_off});
    }
    if (vm.state != boot::VmState::paused) running_ms_ = now();
    if (now() > running_ms_ + kPausedLimitMs) {
      note({.signal = Signal::trouble,
            .detail = vm.problem.empty() ? "The VM is paused." : vm.problem});
    }
  }

  void look_at_reboots() {
    boot::Reboots reboots = watch_.reboots(vm_.domain_name);
    is_gap_new_ = reboots.gap_count != gap_count_;
    gap_count_ = reboots.gap_count;
    if (reboot_count_ == reboots.count) return;
    // One restart may be several resets: the kernel's and then the firmware's own, which are
    // seconds apart on a busy machine. A system that has come up again has read its disks.
    bool has_read = disk_sum_ != disk_sum_at_reboot_;
    reboot_count_ = reboots.count;
    disk_sum_at_reboot_ = disk_sum_;
    if (!has_read) return;
    rebooted_ = reboots.last_began;
    evidence_.add({.at_ms = since_begin(rebooted_), .signal = Signal::reboot});
    serial_.restart(rebooted_);
    answers_.clear();
    if (last_meaning_ != TextMeaning::nothing) before_reboot_ = last_meaning_;
    last_meaning_ = last_serial_ = TextMeaning::nothing;
    last_text_.clear();
    unknown_words_.clear();
    disk_error_ = false;
    shown_ = {};
    wake_count_ = 0;
    novelty_.forget();
    evidence_.last_change_ms = evidence_.last_news_ms = now();
  }

  void look_at_disks() {
    if (ended_) return;
    boot::DiskCounters counters = watch_.disk_counters(vm_.domain_name);
    uint64_t sum = counters.read_size + counters.written_size;
    if (sum == disk_sum_) return;
    evidence_.last_read_ms = evidence_.last_change_ms = now();
    if (novelty_.is_new_on_disks(sum, now())) evidence_.last_news_ms = now();
    disk_sum_ = sum;
  }

  void take_disks(DiskChecker& disks) {
    if (!evidence_.disks_pending) return;
    bool over = disks.is_over();
    for (Observation& seen : disks.take()) note(std::move(seen));
    if (!over) return;
    evidence_.disks_pending = false;
    evidence_.disks_over_ms = now();
  }

  void look_at_serial() {
    std::error_code gone;
    uint64_t size = std::filesystem::file_size(vm_.serial_log_path, gone);
    uint64_t offset = serial_.offset_within(gone ? UINT64_MAX : size);
    std::string piece = boots_.serial_log(vm_.id, offset, kSerialPiece);
    if (!piece.empty()) {
      serial_.add(piece, Clock::now());
      serial_change_ms_ = evidence_.last_change_ms = now();
      if (novelty_.is_new_on_serial(piece)) evidence_.last_news_ms = now();
    }
    note_unknown_words();
    std::optional<std::string_view> news = serial_.take_news();
    if (!news) return;
    TextReading reading = read_with_rules(*news, plan_.taught);
    note_problems(reading, Signal::serial);
    unknown_words_ = reading.meaning == TextMeaning::other ? reading.line : "";
    if (reading.meaning == last_serial_ || reading.meaning <= TextMeaning::other) return;
    last_serial_ = reading.meaning;
    note({.signal = Signal::serial,
          .subject = rule_subject(reading),
          .detail = reading.line,
          .meaning = reading.meaning});
  }

  // Words that mean nothing known count only once nothing follows them: a start prints many.
  void note_unknown_words() {
    if (unknown_words_.empty() || now() < serial_change_ms_ + kQuietSerialMs) return;
    last_serial_ = TextMeaning::other;
    note({.signal = Signal::serial, .detail = unknown_words_, .meaning = TextMeaning::other});
    unknown_words_.clear();
  }

  // What is reported once, and counts whatever is printed afterwards.
  void note_problems(const TextReading& reading, Signal signal) {
    if (!reading.disk_error.empty() && !disk_error_) {
      disk_error_ = true;
      note({.signal = signal, .detail = reading.disk_error, .meaning = TextMeaning::disk_error});
    }
    for (const std::string& line : reading.complaints) {
      // Screen and serial line often say the same.
      if (complaints_.size() < kMaxComplaints && complaints_.insert(without_clock(line)).second)
        note({.signal = Signal::complaint, .detail = line});
    }
  }

  // Text recognition runs only on a picture that differs from the last one by more than a cursor.
  void take_picture(bool is_last) try {
    if (ended_) return;
    boot::Screenshot raw = boots_.screenshot(vm_.id);
    Picture picture = screen_.read(raw);
    bool same = shown_.width != 0 && !is_different(picture, shown_);
    if (same && (!is_last || kept_)) return;
    std::string text;
    uint64_t at_ms = now();
    if (!same) {
      text = plain_text(screen_.recognise(picture));
      // A screen on which only a clock ticks stands still. One without text may show anything.
      std::string words = without_clock(text);
      bool stands_still = is_blank(picture) || (!words.empty() && words == last_text_);
      if (!stands_still) evidence_.last_change_ms = at_ms;
      if (!words.empty()) last_text_ = std::move(words);
      if (!is_blank(picture) && novelty_.is_new_on_screen(picture, text))
        evidence_.last_news_ms = at_ms;
      evidence_.screen = screen_words(picture, text);
      dark_since_ms_ = is_blank(picture) ? std::optional(at_ms) : std::nullopt;
      TextReading reading = read_with_rules(text, plan_.taught);
      // Until the firmware clears the screen, it still shows what was there before the restart.
      bool is_old = before_reboot_ == reading.meaning;
      if (!is_old) before_reboot_.reset();
      if (!is_old) note_problems(reading, Signal::screen);
      if (!is_old && (reading.meaning != last_meaning_ || reading.line != last_line_)) {
        last_meaning_ = reading.meaning;
        last_line_ = reading.line;
        evidence_.add({.at_ms = at_ms,
                       .signal = Signal::screen,
                       .subject = rule_subject(reading),
                       .detail = reading.line,
                       .meaning = reading.meaning});
      }
    }
    if (pictures_.size() >= kMaxPictures) pictures_.erase(pictures_.begin() + 1);
    pictures_.push_back({at_ms, std::move(text), evidence_png(picture)});
    kept_ = true;
    shown_ = std::move(picture);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found && error.message().find("tesseract") == 0) throw;
    base::log().debug("no picture of {}: {}", vm_.machine_name, error.message());
    note_unread_screen(error.message());
  }

  // Whether it helped is seen by the next pictures. Again if not, since a screen may be dark because
  // nothing was written to it yet; a few times after each restart.
  void wake_dark_screen() {
    bool is_quiet = now() >= evidence_.last_change_ms + kWakeAfterMs;
    if (wake_count_ == kWakeLimit || ended_ || !dark_since_ms_ || !is_quiet ||
        now() < *dark_since_ms_ + kWakeAfterMs * (wake_count_ + 1))
      return;
    ++wake_count_;
    watch_.press_shift(vm_.domain_name);
    note({.signal = Signal::remark,
          .detail = fmt::format("The screen was dark for {}; the appliance pressed the Shift key "
                                "to wake it.",
                                base::format_duration_ms(now() - *dark_since_ms_))});
  }

  void note_starvation() {
    if (evidence_.last_change_ms != starved_since_ms_) {
      starved_since_ms_ = evidence_.last_change_ms;
      processes_.begin_waiting();
    }
    evidence_.starved_ms = processes_.waited_ms();
  }

  // Once for each reason: a screen that could not be examined is no evidence, and that is recorded.
  void note_unread_screen(const std::string& why) {
    if (why == unread_) return;
    unread_ = why;
    note({.signal = Signal::screen,
          .detail = base::clean_text("The screen could not be examined: " + why, kMaxWords)});
  }

  void take_answers(GuestProber& prober) {
    for (auto& [asked, answered, answer] : prober.take()) {
      if (asked < rebooted_) continue;
      std::string key = fmt::format("{}/{}", signal_name(answer.signal), answer.subject);
      std::string state = fmt::format("{}{}", answer.good, answer.good ? "" : answer.detail);
      auto [known, is_new] = answers_.try_emplace(key, state);
      if (!is_new && known->second == state) continue;
      known->second = state;
      bool silent_agent = answer.signal == Signal::agent && !answer.good && is_new;
      if (silent_agent) continue;
      answer.at_ms = since_begin(answered);
      evidence_.add(std::move(answer));
    }
  }

  boot::BootService& boots_;
  boot::GuestWatch& watch_;
  const boot::InstantVm vm_;
  const TestBootPlan& plan_;
  base::ScratchDirectory scratch_;
  const Clock::time_point begin_ = Clock::now();
  Evidence evidence_;
  std::vector<catalog::VerificationPicture> pictures_;
  std::map<std::string, std::string> answers_;  // the last answer of each check
  SerialTail serial_;
  ScreenReader screen_{scratch_.path()};
  std::string unknown_words_;  // the newest line of the serial log, if it means nothing known
  uint64_t serial_change_ms_ = 0;
  std::string unread_;  // why the last screen could not be examined
  VmProcesses processes_;
  Novelty novelty_;
  uint64_t starved_since_ms_ = 0;  // which change was the last
  std::optional<uint64_t> dark_since_ms_;
  uint32_t wake_count_ = 0;  // since the last restart
  Picture shown_;
  bool kept_ = false;
  TextMeaning last_meaning_ = TextMeaning::nothing, last_serial_ = TextMeaning::nothing;
  std::string last_line_;
  std::string last_text_;  // of the screen, without digits
  bool disk_error_ = false;
  std::set<std::string> complaints_;
  std::optional<TextMeaning> before_reboot_;  // of the screen that a restart has not cleared yet
  uint64_t disk_sum_ = 0, disk_sum_at_reboot_ = 0, answering_ms_ = 0, running_ms_ = 0,
           tended_ms_ = 0;
  // When the last complete look began: it may take seconds on a busy machine, and may miss what
  // happened meanwhile.
  uint64_t seen_ms_ = 0;
  uint32_t reboot_count_ = 0, gap_count_ = 0;
  Clock::time_point rebooted_{};  // when the last restart began
  bool is_gap_new_ = false;
  bool ended_ = false;
};

TestBootResult not_started(const Error& error) {
  TestBootResult result;
  bool damaged = error.code() == ErrorCode::corrupt;
  result.verdict.kind = damaged ? VerdictKind::fail : VerdictKind::inconclusive;
  result.verdict.reasons.push_back(fmt::format("It could not be started: {}.", error.message()));
  return result;
}

TestBootResult run_once(boot::BootService& boots, boot::GuestWatch& watch, const TestBootPlan& plan,
                        std::optional<images::Firmware> firmware, jobs::JobContext& context) {
  boot::BootOptions options;
  options.purpose = boot::Purpose::test;
  options.requested_by = plan.requested_by;
  options.firmware = firmware;
  boot::InstantVm vm;
  try {
    vm = boots.start(plan.source, plan.point, options,
                     [&](std::string_view step) { context.log(step); });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return not_started(error);
  }
  if (plan.on_start) plan.on_start();
  struct Ending {
    boot::BootService& boots;
    boot::GuestWatch& watch;
    const boot::InstantVm& vm;
    ~Ending() {
      try {
        boots.stop(vm.id);
        watch.forget(vm.domain_name);
      } catch (const Error& error) {
        base::log().error("the test boot of {} was not cleaned away: {}", vm.machine_name,
                          error.message());
      }
    }
  } ending{boots, watch, vm};
  try {
    watch.lower_cpu_share(vm.domain_name);
    return Watcher(boots, watch, vm, plan).run(context);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    // Something about the guest was not foreseen: it ends this test boot, with a verdict.
    TestBootResult result;
    result.verdict.reasons.push_back(fmt::format("The test boot could not be completed: {}.",
                                                 base::clean_text(error.what(), kMaxWords)));
    return result;
  }
}

// Whether the firmware found nothing that it could start.
bool found_nothing(const TestBootResult& result) {
  const auto& seen = result.evidence.observations;
  return result.verdict.kind == VerdictKind::fail &&
         std::any_of(seen.begin(), seen.end(), [](const Observation& each) {
           return each.meaning == TextMeaning::no_system;
         });
}

std::string_view shown_name(images::Firmware firmware) {
  return firmware == images::Firmware::uefi ? "UEFI" : "BIOS";
}

}  // namespace

TestBootResult run_test_boot(boot::BootService& boots, boot::GuestWatch& watch,
                             const TestBootPlan& plan, jobs::JobContext& context) {
  std::optional<images::Firmware> other;
  try {
    other = boot::other_firmware_of_point(*plan.source.reader, plan.point);
  } catch (const Error&) {
    // What is wrong with the point is said by the start.
  }
  TestBootResult first = run_once(boots, watch, plan, std::nullopt, context);
  if (!other || !plan.reopen || !found_nothing(first)) return first;
  context.log(fmt::format("the firmware found nothing to start; the disks may also boot with {}",
                          shown_name(*other)));
  TestBootPlan again = plan;
  again.source.reader = plan.reopen();
  TestBootResult second = run_once(boots, watch, again, *other, context);
  images::Firmware chosen =
      *other == images::Firmware::uefi ? images::Firmware::bios : images::Firmware::uefi;
  std::string both = fmt::format(
      "Its definition names no firmware, and both kinds can boot from its disks: with {} the "
      "firmware found nothing to start, so this was tried with {}",
      shown_name(chosen), shown_name(*other));
  if (found_nothing(second)) {
    first.verdict.reasons.push_back(both + ", with the same result.");
    return first;
  }
  second.verdict.reasons.push_back(
      fmt::format("{}: start it with --firmware {}.", both, images::firmware_name(*other)));
  return second;
}

}  // namespace appliance::verify
