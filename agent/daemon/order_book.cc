#include "agent/daemon/order_book.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "agent/service_files.h"
#include "base/error.h"
#include "base/last_words.h"
#include "base/log.h"

namespace agent::daemon {
namespace {

constexpr std::chrono::seconds kPatience{30};

}  // namespace

OrderBook::OrderBook(std::vector<std::string> command, std::string directory)
    : command_(std::move(command)), directory_(std::move(directory)) {
  std::error_code failed;
  std::filesystem::remove_all(directory_, failed);
  if (!failed) std::filesystem::create_directories(directory_, failed);
  if (failed) throw base::system_error(failed.value(), "cannot empty the folder " + directory_);
}

void OrderBook::begin(uint64_t order, const std::string& machine) {
  std::string files = fmt::format("{}/{}", directory_, order);
  std::vector<std::string> command = command_;
  for (const std::string& word :
       {std::string("--limit-file"), files + ".rate", std::string("--progress-file"),
        files + ".position", std::string("--"), machine}) {
    command.push_back(word);
  }
  try {
    write_rate_file(files + ".rate", rate_.value_or(0));
    base::SubprocessOptions options;
    options.output_path = files + ".log";
    syncs_.push_back({order, machine, files, base::Subprocess(command, options)});
    base::log().info("sync of {} started (order {})", machine, order);
  } catch (const base::Error& error) {
    over_.push_back({order, false, error.message()});
  }
  share_rate();
}

void OrderBook::set_rate(std::optional<uint64_t> rate) {
  if (rate == rate_) return;
  rate_ = rate;
  share_rate();
}

void OrderBook::share_rate() {
  for (const Sync& sync : syncs_) {
    uint64_t share = rate_ ? std::max<uint64_t>(*rate_ / syncs_.size(), 1) : 0;
    write_rate_file(sync.files + ".rate", share);
  }
}

std::vector<RunningSync> OrderBook::running() const {
  std::vector<RunningSync> running;
  for (const Sync& sync : syncs_) {
    SyncPosition position = read_position_file(sync.files + ".position").value_or(SyncPosition{});
    running.push_back({sync.order, sync.machine, position.done, position.total});
  }
  return running;
}

std::vector<Outcome> OrderBook::collect() {
  for (auto sync = syncs_.begin(); sync != syncs_.end();) {
    auto status = sync->process.wait_for(std::chrono::milliseconds(0));
    if (!status) {
      ++sync;
      continue;
    }
    Outcome outcome{sync->order, *status == 0, ""};
    if (outcome.succeeded) {
      base::log().info("sync of {} is done (order {})", sync->machine, sync->order);
    } else {
      outcome.error = base::last_words(sync->files + ".log", "muletto-agent");
      if (outcome.error.empty())
        outcome.error = fmt::format("the sync's process ended with status {}", *status);
      base::log().warn("sync of {} failed (order {}): {}", sync->machine, sync->order,
                       outcome.error);
    }
    for (const char* ending : {".rate", ".position", ".log"}) {
      std::error_code ignored;  // the folder is emptied at the next start
      std::filesystem::remove(sync->files + ending, ignored);
    }
    over_.push_back(std::move(outcome));
    sync = syncs_.erase(sync);
    share_rate();
  }
  return std::exchange(over_, {});
}

std::vector<int> OrderBook::descriptors() const {
  std::vector<int> descriptors;
  for (const Sync& sync : syncs_) descriptors.push_back(sync.process.descriptor());
  return descriptors;
}

void OrderBook::end_all() {
  for (Sync& sync : syncs_) sync.process.signal(SIGTERM);
  for (Sync& sync : syncs_) {
    if (!sync.process.wait_for(kPatience))
      base::log().warn("the sync of {} does not end; killing it", sync.machine);
  }
  syncs_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace agent::daemon
