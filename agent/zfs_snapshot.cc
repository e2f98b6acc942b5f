// ZFS shows a snapshot of a volume as a device only if the volume's property `snapdev` is "visible". It
// is set for the time of the sync, and put back: a value that was inherited is inherited again.
#include "agent/zfs_snapshot.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "agent/command_rows.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace agent {
namespace {

constexpr std::string_view kDevices = "/dev/zvol/";
constexpr int kDeviceLooks = 100;
constexpr auto kDevicePause = std::chrono::milliseconds(100);

void try_zfs(const std::vector<std::string>& command, const std::string& what) noexcept {
  try {
    base::run_checked(command);
  } catch (const base::Error& error) {
    base::log().warn("{}: {}", what, error.message());
  }
}

// The volume behind "/dev/zvol/tank/web", or behind a link there: "/dev/zd0" has no name of its own.
std::string volume_of(const std::string& path) {
  if (path.starts_with(kDevices)) return path.substr(kDevices.size());
  std::error_code failed;
  std::string device = std::filesystem::canonical(path, failed).string();
  if (failed || !std::filesystem::path(device).filename().string().starts_with("zd")) return "";
  for (const auto& row : command_rows({"zfs", "list", "-H", "-o", "name", "-t", "volume"}, '\t')) {
    if (row.empty()) continue;
    std::string link = std::string(kDevices) + row[0];
    if (std::filesystem::canonical(link, failed).string() == device && !failed) return row[0];
  }
  return "";
}

class ZfsSnapshot : public VolumeSnapshot {
 public:
  ZfsSnapshot(std::string volume, const std::string& name)
      : volume_(std::move(volume)), snapshot_(volume_ + "@" + name),
        path_(std::string(kDevices) + snapshot_) {
    make_visible();
    try {
      base::run_checked({"zfs", "snapshot", snapshot_});
      made_ = true;
      wait_for_device();
    } catch (const base::Error&) {
      clean_up();
      throw;
    }
  }
  ~ZfsSnapshot() override { clean_up(); }

  const std::string& path() const override { return path_; }
  // ZFS refuses writes of everybody when the pool is full, and drops no snapshot: its own limits and
  // the pool's monitoring say so long before.
  void check() override {}

 private:
  void make_visible() {
    auto rows = command_rows({"zfs", "get", "-H", "-o", "value,source", "snapdev", volume_}, '\t');
    if (rows.size() != 1 || rows[0].size() != 2)
      throw base::Error(base::ErrorCode::io,
                        "zfs does not say how it shows snapshots of " + volume_);
    if (rows[0][0] == "visible") return;
    // "local" is a value of the volume's own.
    before_ = rows[0][1] == "local" ? rows[0][0] : "";
    base::run_checked({"zfs", "set", "snapdev=visible", volume_});
    changed_ = true;
  }

  // udev makes the link a moment later.
  void wait_for_device() {
    for (int i = 0; i < kDeviceLooks; ++i) {
      if (std::filesystem::exists(path_)) return;
      std::this_thread::sleep_for(kDevicePause);
    }
    throw base::Error(base::ErrorCode::io,
                      fmt::format("ZFS made the snapshot {} but no device {}", snapshot_, path_));
  }

  void clean_up() noexcept {
    if (made_) try_zfs({"zfs", "destroy", snapshot_}, "the snapshot " + snapshot_ + " stays");
    made_ = false;
    if (!changed_) return;
    std::vector<std::string> back =
        before_.empty() ? std::vector<std::string>{"zfs", "inherit", "snapdev"}
                        : std::vector<std::string>{"zfs", "set", "snapdev=" + before_};
    back.push_back(volume_);
    try_zfs(back, "snapshots of " + volume_ + " stay visible as devices");
    changed_ = false;
  }

  std::string volume_;
  std::string snapshot_;  // with the volume's name
  std::string path_;
  std::string before_;  // the value of snapdev; empty: inherited
  bool changed_ = false;
  bool made_ = false;
};

}  // namespace

std::unique_ptr<VolumeSnapshot> zfs_snapshot_of(const std::string& path,
                                                const std::string& prefix) {
  std::string volume = volume_of(path);
  if (volume.empty()) return nullptr;
  auto rows = command_rows({"zfs", "list", "-H", "-o", "type", volume}, '\t');
  if (rows.size() != 1 || rows[0].size() != 1 || rows[0][0] != "volume") return nullptr;
  return std::make_unique<ZfsSnapshot>(volume, prefix + base::to_hex(base::random_array<4>()));
}

void remove_abandoned_zfs_snapshots(const std::string& prefix) {
  for (const auto& row :
       command_rows({"zfs", "list", "-H", "-o", "name", "-t", "snapshot"}, '\t')) {
    if (row.empty()) continue;
    size_t at = row[0].find('@');
    if (at == std::string::npos || !std::string_view(row[0]).substr(at + 1).starts_with(prefix))
      continue;
    try_zfs({"zfs", "destroy", row[0]}, "the snapshot " + row[0] + " stays");
  }
}

}  // namespace agent
