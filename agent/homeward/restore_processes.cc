#include "agent/homeward/restore_processes.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "agent/homeward/open_target.h"
#include "agent/homeward/restore_order.h"
#include "agent/homeward/restore_report.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/last_log_line.h"
#include "base/log.h"
#include "base/private_file.h"

namespace agent::homeward {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kPatience{30};
constexpr size_t kMaxRestores = 8;

}  // namespace

RestoreProcesses::RestoreProcesses(std::string directory, std::vector<std::string> command)
    : directory_(std::move(directory)), command_(std::move(command)) {
  std::error_code failed;
  // A killed restore may have left a mount.
  for (const auto& entry : std::filesystem::directory_iterator(directory_, failed))
    clear_work_directory(entry.path().string());
  std::filesystem::remove_all(directory_, failed);
  if (failed) throw base::system_error(failed.value(), "cannot empty the folder " + directory_);
  base::make_private_directory(directory_);
}

void RestoreProcesses::refuse(uint64_t order, const std::string& error) {
  over_.push_back({{"order", order}, {"state", "failed"}, {"error", error}});
}

void RestoreProcesses::begin(const json& text) {
  RestoreOrder order = parse_restore_order(text);
  bool is_known = std::any_of(restores_.begin(), restores_.end(),
                              [&](const Restore& each) { return each.order == order.order; });
  is_known = is_known || std::any_of(over_.begin(), over_.end(), [&](const json& each) {
               return each["order"] == order.order;
             });
  if (is_known) return;
  if (restores_.size() >= kMaxRestores)
    return refuse(order.order, "this host runs too many restores");
  std::string files = fmt::format("{}/{}", directory_, order.order);
  try {
    base::make_private_directory(files + ".work");
    base::write_private_file(files + ".order", base::dump_text(text));
    std::vector<std::string> command = command_;
    for (const std::string& word :
         {std::string("--report-file"), files + ".report", std::string("--work-directory"),
          files + ".work", std::string("--"), files + ".order"})
      command.push_back(word);
    base::SubprocessOptions options;
    options.output_path = files + ".log";
    restores_.push_back({order.order, order.machine, files, base::Subprocess(command, options)});
    base::log().info("restore of {} started (order {})", order.machine, order.order);
  } catch (const base::Error& error) {
    refuse(order.order, error.message());
  }
}

void RestoreProcesses::end(uint64_t order) {
  for (Restore& restore : restores_) {
    if (restore.order == order) restore.process.signal(SIGTERM);
  }
}

void RestoreProcesses::collect() {
  for (auto restore = restores_.begin(); restore != restores_.end();) {
    auto status = restore->process.wait_for(std::chrono::milliseconds(0));
    if (!status) {
      ++restore;
      continue;
    }
    json report = read_report_file(restore->files + ".report");
    report["order"] = restore->order;
    report["state"] = *status == 0 ? "succeeded" : "failed";
    if (*status == 0) {
      base::log().info("restore of {} is done (order {})", restore->machine, restore->order);
    } else {
      std::string error = base::last_log_line(restore->files + ".log", "muletto-agent");
      if (error.empty()) error = fmt::format("the restore's process ended with status {}", *status);
      base::log().warn("restore of {} failed (order {}): {}", restore->machine, restore->order,
                       error);
      report["error"] = error;
    }
    over_.push_back(std::move(report));
    clear_work_directory(restore->files + ".work");
    std::error_code ignored;  // the folder is emptied at the next start
    for (const char* ending : {".order", ".report", ".log", ".work"})
      std::filesystem::remove_all(restore->files + ending, ignored);
    restore = restores_.erase(restore);
  }
}

json RestoreProcesses::reports() {
  collect();
  json reports = json::array();
  for (const Restore& restore : restores_) {
    json report = read_report_file(restore.files + ".report");
    report["order"] = restore.order;
    report["state"] = "running";
    reports.push_back(std::move(report));
  }
  for (const json& report : over_) reports.push_back(report);
  told_count_ = over_.size();
  return reports;
}

void RestoreProcesses::forget_told() {
  over_.erase(over_.begin(), over_.begin() + static_cast<ptrdiff_t>(told_count_));
  told_count_ = 0;
}

std::vector<int> RestoreProcesses::descriptors() const {
  std::vector<int> descriptors;
  for (const Restore& restore : restores_) descriptors.push_back(restore.process.descriptor());
  return descriptors;
}

void RestoreProcesses::end_all() {
  for (Restore& restore : restores_) restore.process.signal(SIGTERM);
  for (Restore& restore : restores_) {
    if (!restore.process.wait_for(kPatience))
      base::log().warn("the restore of {} does not end; killing it", restore.machine);
    clear_work_directory(restore.files + ".work");
  }
  restores_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace agent::homeward
