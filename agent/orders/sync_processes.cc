#include "agent/orders/sync_processes.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "agent/orders/sync_files.h"
#include "base/error.h"
#include "base/last_log_line.h"
#include "base/log.h"
#include "base/private_file.h"

namespace agent::orders {
namespace {

constexpr std::chrono::seconds kPatience{30};

void remove_files(const std::string& files) {
  for (const char* ending : {".rate", ".position", ".log"}) {
    std::error_code ignored;  // the folder is emptied at the next start
    std::filesystem::remove(files + ending, ignored);
  }
}

}  // namespace

SyncProcesses::SyncProcesses(std::string directory, std::string what)
    : directory_(std::move(directory)), what_(std::move(what)) {
  std::error_code failed;
  std::filesystem::remove_all(directory_, failed);
  if (failed) throw base::system_error(failed.value(), "cannot empty the folder " + directory_);
  base::make_private_directory(directory_);
}

void SyncProcesses::begin(const SyncOrder& order) {
  std::string files = fmt::format("{}/{}", directory_, order.order);
  std::vector<std::string> command = order.command;
  for (const std::string& word :
       {std::string("--limit-file"), files + ".rate", std::string("--progress-file"),
        files + ".position", std::string("--"), order.machine}) {
    command.push_back(word);
  }
  try {
    write_rate_file(files + ".rate", rate_.value_or(0));
    base::SubprocessOptions options;
    options.output_path = files + ".log";
    syncs_.push_back({order.order, order.machine, files, base::Subprocess(command, options)});
    base::log().info("sync of {}{} started (order {})", what_, order.machine, order.order);
  } catch (const base::Error& error) {
    refuse(order.order, error.message());
    remove_files(files);
  }
  share_rate();
}

void SyncProcesses::refuse(uint64_t order, const std::string& error) {
  over_.push_back({order, false, error});
}

void SyncProcesses::set_rate(std::optional<uint64_t> rate) {
  if (rate == rate_) return;
  rate_ = rate;
  share_rate();
}

void SyncProcesses::share_rate() {
  for (const Sync& sync : syncs_) {
    uint64_t share = rate_ ? std::max<uint64_t>(*rate_ / syncs_.size(), 1) : 0;
    write_rate_file(sync.files + ".rate", share);
  }
}

std::vector<RunningSync> SyncProcesses::running() const {
  std::vector<RunningSync> running;
  for (const Sync& sync : syncs_) {
    SyncPosition position = read_position_file(sync.files + ".position").value_or(SyncPosition{});
    running.push_back({sync.order, sync.machine, position.done, position.total});
  }
  return running;
}

std::vector<SyncOutcome> SyncProcesses::collect() {
  for (auto sync = syncs_.begin(); sync != syncs_.end();) {
    auto status = sync->process.wait_for(std::chrono::milliseconds(0));
    if (!status) {
      ++sync;
      continue;
    }
    SyncOutcome outcome{sync->order, *status == 0, ""};
    if (outcome.succeeded) {
      base::log().info("sync of {}{} is done (order {})", what_, sync->machine, sync->order);
    } else {
      outcome.error = base::last_log_line(sync->files + ".log", "muletto-agent");
      if (outcome.error.empty())
        outcome.error = fmt::format("the sync's process ended with status {}", *status);
      base::log().warn("sync of {}{} failed (order {}): {}", what_, sync->machine, sync->order,
                       outcome.error);
    }
    remove_files(sync->files);
    over_.push_back(std::move(outcome));
    sync = syncs_.erase(sync);
    share_rate();
  }
  return std::exchange(over_, {});
}

std::vector<int> SyncProcesses::descriptors() const {
  std::vector<int> descriptors;
  for (const Sync& sync : syncs_) descriptors.push_back(sync.process.descriptor());
  return descriptors;
}

void SyncProcesses::end_all() {
  for (Sync& sync : syncs_) sync.process.signal(SIGTERM);
  for (Sync& sync : syncs_) {
    if (!sync.process.wait_for(kPatience))
      base::log().warn("the sync of {} does not end; killing it", sync.machine);
  }
  syncs_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace agent::orders
