#include "agent/monitor/qemu_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/monitor/disk_bitmaps.h"
#include "base/error.h"
#include "base/json_access.h"

namespace agent::monitor {
namespace {

using nlohmann::json;

constexpr char kScratchNode[] = "muletto-instant-";
constexpr char kJob[] = "muletto-job-";
constexpr auto kEndTimeout = std::chrono::seconds(30);
constexpr auto kEndPause = std::chrono::milliseconds(20);
constexpr size_t kMaxJobs = 1024;

// The ids of QEMU's jobs: block jobs and others.
std::vector<std::pair<std::string, std::string>> jobs(Monitor& monitor) {
  std::vector<std::pair<std::string, std::string>> found;  // id, type
  json answer = monitor.execute("query-jobs");
  if (!answer.is_array()) return found;
  for (const json& job : answer) {
    if (found.size() >= kMaxJobs) break;
    found.emplace_back(base::find_text(job, "id").value_or(""),
                       base::find_text(job, "type").value_or("unknown"));
  }
  return found;
}

bool is_ours(const std::string& id) { return id.starts_with(kJob); }

// QEMU may have been restarted since a sync started its server, which is another program's now.
bool has_foreign_exports(Monitor& monitor) {
  json exports = monitor.execute("query-block-exports");
  if (!exports.is_array()) return false;
  return std::any_of(exports.begin(), exports.end(), [](const json& each) {
    return !base::find_text(each, "id").value_or("").starts_with(kOwnName);
  });
}

void cancel_jobs(Monitor& monitor) {
  auto deadline = std::chrono::steady_clock::now() + kEndTimeout;
  while (true) {
    bool any = false;
    for (const auto& [id, type] : jobs(monitor)) {
      if (!is_ours(id)) continue;
      any = true;
      try {
        monitor.execute("block-job-cancel", {{"device", id}, {"force", true}});
      } catch (const base::Error& error) {
        if (error.code() != base::ErrorCode::io) throw;  // else it has just ended
      }
    }
    if (!any) return;
    if (std::chrono::steady_clock::now() > deadline)
      throw base::Error(base::ErrorCode::unavailable, "QEMU did not end the backup of a sync");
    std::this_thread::sleep_for(kEndPause);
  }
}

}  // namespace

std::string instant_node(const std::string& disk) { return kScratchNode + disk; }

void check_idle(Monitor& monitor, const std::string& machine_name) {
  for (const auto& [id, type] : jobs(monitor)) {
    if (is_ours(id)) continue;
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("another program's job '{}' ({}) is under way in the QEMU of {} "
                                  "and was left alone; sync again when it is over",
                                  id, type, machine_name));
  }
  std::string status = base::find_text(monitor.execute("query-migrate"), "status").value_or("none");
  if (status == "active" || status == "setup" || status == "device" || status == "pre-switchover")
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("{} is being migrated; sync again when it is over", machine_name));
}

void add_scratch(Monitor& monitor, const BackupDisk& disk) {
  monitor.execute("blockdev-add", {{"driver", "qcow2"},
                                   {"node-name", instant_node(disk.name)},
                                   {"file", {{"driver", "file"}, {"filename", disk.scratch_path}}},
                                   {"backing", disk.node}});
}

void start_server(Monitor& monitor, const std::string& socket_path) {
  try {
    monitor.execute("nbd-server-start",
                    {{"addr", {{"type", "unix"}, {"data", {{"path", socket_path}}}}}});
  } catch (const base::Error& error) {
    if (error.message().find("already running") == std::string::npos) throw;
    throw base::Error(base::ErrorCode::busy,
                      "another program uses the NBD server of this QEMU, which has only one (a "
                      "backup, or a migration); sync again when it is over");
  }
}

void begin_backup(Monitor& monitor, const std::vector<BackupDisk>& disks) {
  json actions = json::array();
  for (const BackupDisk& disk : disks) {
    actions.push_back({{"type", "blockdev-backup"},
                       {"data",
                        {{"job-id", kJob + disk.name},
                         {"device", disk.node},
                         {"target", instant_node(disk.name)},
                         {"sync", "none"}}}});
  }
  monitor.execute("transaction", {{"actions", actions}});
}

void end_backup(Monitor& monitor, bool ends_server) {
  if (ends_server && !has_foreign_exports(monitor)) {
    try {
      monitor.execute("nbd-server-stop");
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::io) throw;  // else it does not run
    }
  }
  cancel_jobs(monitor);
  for (const Node& node : nodes(monitor)) {
    if (node.name.starts_with(kScratchNode))
      monitor.execute("blockdev-del", {{"node-name", node.name}});
  }
}

}  // namespace agent::monitor
