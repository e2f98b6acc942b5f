// adopt() decides by two facts, the phase in boot.json and whether libvirt runs a domain with that
// boot id; why these are enough is explained in boot_operations.cc:
//
//   phase      domain runs          no domain
//   starting   it counts as started clean up
//   started    adopt                the guest has ended, or was interrupted: restart.h
//   stopping   complete the stop    complete the stop
//   kept       –                    end the export, keep the overlay
//   ended      –                    the same
//
// A VM whose record names another node is left alone, whatever its phase: only that node's libvirt
// knows whether it runs.
//
// A folder appears together with its boot.json (vm_files.h), so one without is what a stop left at
// its very end, or a start of an older version at its very beginning: it is removed if it is empty,
// and otherwise left alone and told. A run folder without a state folder was left by a stop, or by a
// start that was interrupted before boot.json.
#include "appliance/boot/boot_tending.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <optional>

#include "appliance/boot/files/vm_files.h"
#include "appliance/boot/restart.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::ExportProcess;
using Clock = std::chrono::steady_clock;

constexpr auto kResumeInterval = std::chrono::seconds(5);
// virtlogd starts a new serial log after 2 MiB; if QEMU writes it itself, nothing does.
constexpr uint64_t kLongestLog = 8 << 20, kKeptOfLog = 1 << 20;
constexpr auto kIsolationInterval = std::chrono::seconds(5);
constexpr auto kIsolationRemembered = std::chrono::hours(1);

// The rules belong to the machine: any service of this process that sees that they are missing
// restores them, including those of test boots.
struct IsolationProblem {
  Clock::time_point at;
  std::string problem;
};
base::Guarded<IsolationProblem>& last_isolation_problem() {
  static base::Guarded<IsolationProblem> last;
  return last;
}

}  // namespace

AdoptReport BootTending::adopt() {
  AdoptReport report;
  std::map<BootId, DomainState> domains = lookup_.our_domains();
  for (const BootId& id : boots_in(settings_.state_directory)) {
    auto lock = operations_.lock_of(id);
    try {
      auto known = domains.find(id);
      adopt_one(id, known == domains.end() ? DomainState::off : known->second, report);
    } catch (const std::exception& error) {
      report.problems.push_back(fmt::format("Boot {}: {}", id.hex(), error.what()));
    }
  }
  clean_unfinished(report.cleaned);
  std::vector<BootId> known = boots_in(settings_.state_directory);
  for (const DomainSummary& each : hypervisor_.list()) {
    bool ours = each.state_directory == settings_.state_directory;
    if (!ours || each.state != DomainState::off) continue;
    if (std::find(known.begin(), known.end(), each.boot) != known.end()) continue;
    hypervisor_.undefine(each.name);
    report.cleaned.push_back(
        fmt::format("Boot {}: the definition of a VM that no longer exists.", each.boot.hex()));
  }
  clean_run_folders(domains, report.cleaned);
  for (const auto& [id, state] : domains) {
    if (std::find(known.begin(), known.end(), id) != known.end()) continue;
    report.problems.push_back(
        fmt::format("Boot {} runs in libvirt, but its folder is missing.", id.hex()));
  }
  operations_.accelerator();  // tried now, so that the first start need not wait for it
  return report;
}

void BootTending::adopt_one(const BootId& id, DomainState domain, AdoptReport& report) {
  BootPaths paths = lookup_.paths_of(id);
  bool runs = domain != DomainState::off;
  std::optional<BootRecord> record = lookup_.find_record(id);
  if (!record && !runs && !base::real_file_system().exists(paths.record_path)) {
    if (!is_bare_folder(paths)) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} has no boot.json, so nobody knows which node's it is; remove it "
                              "if no appliance uses it",
                              paths.folder));
    }
    operations_.end_export(paths);
    remove_boot_folders(paths);
    report.cleaned.push_back(fmt::format("Boot {}: a start that had just begun.", id.hex()));
    return;
  }
  if (!record) throw Error(ErrorCode::corrupt, paths.record_path + " cannot be read");
  if (!lookup_.is_own(record->vm)) {
    report.of_other_nodes.push_back(lookup_.describe(*record, domain));
    return;
  }
  if (record->phase == Phase::stopping || (record->phase == Phase::starting && !runs)) {
    bool was_start = record->phase == Phase::starting;
    operations_.finish_stop(*record, paths);
    report.cleaned.push_back(fmt::format("Boot {} of {}: a {} that was interrupted.", id.hex(),
                                         record->vm.machine_name, was_start ? "start" : "stop"));
    return;
  }
  if (record->phase == Phase::starting) {
    record->phase = Phase::started;
    write_record(base::real_file_system(), paths, *record);
  }
  if (record->holder != Holder::here) {
    end_stray(*record, domain, report.cleaned);
    domain = hypervisor_.state(record->vm.domain_name);
    runs = domain != DomainState::off;
  }
  if (runs) {
    report.running.push_back(lookup_.describe(*record, domain));
    return;
  }
  if (record->phase == Phase::started) {
    DomainEnd end = hypervisor_.last_end(record->vm.domain_name);
    if (after_end(*record, end, base::now_ms()) != AfterEnd::rest) {
      report.interrupted.push_back(lookup_.describe(*record, domain));
      return;
    }
    record->phase = Phase::ended;
    write_record(base::real_file_system(), paths, *record);
  }
  operations_.end_export(paths);
  remove_run_folder(paths);
  report.resting.push_back(lookup_.describe(*record, domain));
}

// Somebody else started it, with virsh for example, while it is on its way home or at home. Paused it
// is only being read.
void BootTending::end_stray(const BootRecord& record, DomainState seen,
                            std::vector<std::string>& done) {
  auto runs = [](DomainState state) {
    return state == DomainState::running || state == DomainState::shutting_down;
  };
  // What was seen before the lock was taken may be outdated.
  if (!runs(seen) || !runs(hypervisor_.state(record.vm.domain_name))) return;
  hypervisor_.destroy(record.vm.domain_name);
  done.push_back(fmt::format(
      "The VM of {} was started here by somebody else while failback {} brings it home; "
      "it is ended.",
      record.vm.machine_name, record.failback));
}

// What a crash left of starts of this node before their first record.
void BootTending::clean_unfinished(std::vector<std::string>& done) {
  for (const BootId& id : unfinished_boots(settings_.state_directory, settings_.node)) {
    auto lock = operations_.try_lock_of(id);
    if (!lock) continue;  // it is being started at this moment
    remove_unfinished_boot(lookup_.paths_of(id), settings_.node);
    done.push_back(fmt::format("Boot {}: a start that had just begun.", id.hex()));
  }
}

// Exports and sockets of boots that no longer have a folder.
void BootTending::clean_run_folders(const std::map<BootId, DomainState>& domains,
                                    std::vector<std::string>& done) {
  for (const BootId& id : boots_in(settings_.run_directory)) {
    BootPaths paths = lookup_.paths_of(id);
    auto lock = operations_.try_lock_of(id);
    std::error_code unknown;
    if (!lock || domains.contains(id) || std::filesystem::exists(paths.folder, unknown) || unknown)
      continue;
    operations_.end_export(paths);
    remove_run_folder(paths);
    done.push_back(fmt::format("Boot {}: the rest of a VM that no longer exists.", id.hex()));
  }
}

void BootTending::keep_isolation(std::vector<std::string>& done) {
  {
    auto last = last_isolation_look_.lock();
    if (Clock::now() - *last < kIsolationInterval) return;
    *last = Clock::now();
  }
  std::string problem;
  try {
    if (hypervisor_.keep_isolation()) {
      problem =
          "The firewall rules that keep isolated VMs away from this machine had been "
          "removed; they are in force again.";
    }
  } catch (const Error& error) {
    problem = error.message() + ".";
  }
  if (problem.empty()) return;
  done.push_back(problem);
  auto last = last_isolation_problem().lock();
  last->at = Clock::now();
  last->problem = std::move(problem);
}

std::string BootTending::isolation_problem() {
  auto last = last_isolation_problem().lock();
  return Clock::now() - last->at < kIsolationRemembered ? last->problem : "";
}

std::vector<std::string> BootTending::tend() {
  std::vector<std::string> done;
  keep_isolation(done);
  try {
    std::map<BootId, DomainState> domains = lookup_.our_domains();
    std::vector<ExportProcess> exports =
        ExportProcess::find_below(base::join_path(settings_.run_directory, "vms"));
    for (const BootId& id : boots_in(settings_.state_directory)) {
      auto known = domains.find(id);
      bool exported = std::any_of(exports.begin(), exports.end(), [&](const ExportProcess& each) {
        return each.socket_path() == lookup_.paths_of(id).socket_path;
      });
      tend_one(id, known == domains.end() ? DomainState::off : known->second, exported, done);
    }
    clean_run_folders(domains, done);
  } catch (const std::exception& error) {
    done.push_back(fmt::format("The instant VMs could not be checked: {}.", error.what()));
  }
  return done;
}

void BootTending::tend_one(const BootId& id, DomainState domain, bool exported,
                           std::vector<std::string>& done) {
  auto lock = operations_.try_lock_of(id);
  if (!lock) return;  // another operation on it is running
  std::optional<BootRecord> record = lookup_.find_record(id);
  if (!record || !lookup_.is_own(record->vm)) return;
  if (record->phase == Phase::starting || record->phase == Phase::stopping) {
    finish_what_failed(*record, done);
    return;
  }
  if (record->holder != Holder::here) {
    try {
      end_stray(*record, domain, done);
    } catch (const std::exception& error) {
      done.push_back(
          fmt::format("The VM of {} runs here though it must not, and cannot be ended: "
                      "{}.",
                      record->vm.machine_name, error.what()));
    }
    return;
  }
  if (record->phase != Phase::started) return;
  // What was seen before the lock was taken may be outdated.
  if (hypervisor_.state(record->vm.domain_name) != domain) return;
  BootPaths paths = lookup_.paths_of(id);
  const std::string& machine = record->vm.machine_name;
  for (const std::string& log : {paths.log_path, paths.serial_path})
    shorten_log(log, kLongestLog, kKeptOfLog);
  try {
    operations_.traces().take(record->trace_key, paths.trace_path);
    if (domain == DomainState::off) {
      tend_ended(*record, paths, done);
      return;
    }
    if (record->failed_restarts > 0 &&
        base::has_passed(record->vm.restarted_ms.value_or(0), kSettledAfterMs, base::now_ms())) {
      record->failed_restarts = 0;
      write_record(base::real_file_system(), paths, *record);
    }
    if (record->vm.is_local) {
      if (exported) operations_.end_export(paths);
    } else if (!exported && !ExportProcess::find(paths.socket_path)) {
      operations_.start_export(*record, paths, ExportUse::running);
      done.push_back(fmt::format("The export of {} had died; it runs again.", machine));
    }
    if (domain == DomainState::paused_by_io_error) let_go_on(*record, done);
  } catch (const std::exception& error) {
    done.push_back(fmt::format("The VM of {} needs help: {}.", machine, error.what()));
  }
}

// A start or stop that is no longer in progress: libvirt became unavailable in the middle, or the
// disk was full.
void BootTending::finish_what_failed(BootRecord& record, std::vector<std::string>& done) {
  const bool was_start = record.phase == Phase::starting;
  const std::string machine = record.vm.machine_name;
  if (was_start) record.keep_overlay = false;
  try {
    operations_.finish_stop(record, lookup_.paths_of(record.vm.id));
    done.push_back(fmt::format("A {} of {} that had failed halfway is cleaned up.",
                               was_start ? "start" : "stop", machine));
  } catch (const std::exception& error) {
    done.push_back(fmt::format("A {} of {} that failed halfway cannot be cleaned up yet: {}.",
                               was_start ? "start" : "stop", machine, error.what()));
  }
}

void BootTending::tend_ended(BootRecord& record, const BootPaths& paths,
                             std::vector<std::string>& done) {
  const std::string& machine = record.vm.machine_name;
  AfterEnd next = after_end(record, hypervisor_.last_end(record.vm.domain_name), base::now_ms());
  if (next == AfterEnd::later) return;
  if (next == AfterEnd::restart) {
    restart(record, paths, done);
    return;
  }
  if (next == AfterEnd::wait) record.problem = "It was interrupted, and waits to be powered on.";
  record.phase = Phase::ended;
  write_record(base::real_file_system(), paths, record);
  operations_.end_export(paths);
  done.push_back(next == AfterEnd::rest
                     ? fmt::format("The VM of {} has ended; its export is ended too.", machine)
                     : fmt::format("The VM of {} stays off. {}", machine, record.problem));
}

void BootTending::restart(BootRecord& record, const BootPaths& paths,
                          std::vector<std::string>& done) {
  const std::string& machine = record.vm.machine_name;
  count_attempt(record, base::now_ms());
  write_record(base::real_file_system(), paths, record);
  BootRecord again = record;
  again.vm.restarted_ms = base::now_ms();
  ++again.vm.restart_count;
  again.problem.clear();
  try {
    operations_.start_again(again, paths);
    record = again;
    done.push_back(fmt::format("The VM of {} had been interrupted; it is restarted.", machine));
  } catch (const Error& error) {
    bool last = record.failed_restarts >= kMaxFailedRestarts;
    // Waiting does not repair a damaged overlay.
    if (error.code() == ErrorCode::corrupt) record.failed_restarts = kMaxFailedRestarts;
    record.problem = fmt::format(
        "It was interrupted and cannot be restarted (attempt {} of {}{}): {}.",
        record.failed_restarts, kMaxFailedRestarts, last ? ", the last" : "", error.message());
    done.push_back(fmt::format("The VM of {}: {}", machine, record.problem));
  }
  write_record(base::real_file_system(), paths, record);
}

void BootTending::let_go_on(const BootRecord& record, std::vector<std::string>& done) {
  if (free_bytes(settings_.state_directory) < kFreeDiskToResume) return;
  {
    auto last = last_resume_.lock();
    auto [place, is_new] = last->try_emplace(record.vm.id, Clock::now());
    if (!is_new && Clock::now() - place->second < kResumeInterval) return;
    place->second = Clock::now();
  }
  hypervisor_.resume(record.vm.domain_name);
  done.push_back(fmt::format("The VM of {} had been paused because of its disk; it is resumed.",
                             record.vm.machine_name));
}

}  // namespace appliance::boot
