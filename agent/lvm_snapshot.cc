#include "agent/lvm_snapshot.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
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

// Room for what is overwritten during the read, relative to the volume's size.
constexpr char kSnapshotRoom[] = "20%ORIGIN";
constexpr double kFull = 95.0;      // percent
constexpr double kPoolFull = 98.0;  // percent of a thin pool: beyond it, its volumes stop writing
constexpr auto kLookInterval = std::chrono::seconds(2);

// The lines LVM prints, split into columns; none if it fails or is not installed.
std::vector<std::vector<std::string>> ask_lvm(const std::string& columns,
                                              const std::string& volume) {
  std::vector<std::string> command{"lvs", "--noheadings", "--separator", "|", "-o", columns};
  if (!volume.empty()) command.push_back(volume);
  return command_rows(command, '|');
}

void remove_volume(const std::string& volume) noexcept {
  try {
    base::run_checked({"lvremove", "--force", "--yes", volume});
  } catch (const base::Error& error) {
    base::log().warn("the snapshot {} stays: {}", volume, error.message());
  }
}

enum class Kind { thick, thin };

class LvmSnapshot : public VolumeSnapshot {
 public:
  LvmSnapshot(std::string group, std::string name, Kind kind, std::string pool)
      : group_(std::move(group)), name_(std::move(name)), kind_(kind), pool_(std::move(pool)) {
    auto rows = ask_lvm("lv_path", group_ + "/" + name_);
    if (rows.size() == 1 && rows[0].size() == 1) {
      path_ = rows[0][0];
      return;
    }
    remove_volume(group_ + "/" + name_);
    throw base::Error(base::ErrorCode::io, "LVM does not say where its snapshot " + name_ + " is");
  }
  ~LvmSnapshot() override { remove_volume(group_ + "/" + name_); }

  const std::string& path() const override { return path_; }

  // Of a thick one, LVM drops the snapshot when its room is used up, and the volume keeps working. A
  // thin one shares the pool's room with everything else in it: what it holds must be given up before
  // the pool is full, since then the volumes themselves stop.
  void check() override {
    auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return;
    next_look_ = now + kLookInterval;
    const std::string& holder = kind_ == Kind::thin ? pool_ : name_;
    auto rows = ask_lvm("data_percent", group_ + "/" + holder);
    if (rows.size() != 1 || rows[0].size() != 1) return;
    double percent = std::strtod(rows[0][0].c_str(), nullptr);
    if (kind_ == Kind::thin && percent >= kPoolFull) {
      throw base::Error(
          base::ErrorCode::no_space,
          fmt::format("the thin pool {}/{} is {} % full: the sync was abandoned and its "
                      "snapshot given up, so that the pool's volumes keep working; "
                      "enlarge the pool",
                      group_, pool_, rows[0][0]));
    }
    if (kind_ == Kind::thin || percent < kFull) return;
    throw base::Error(
        base::ErrorCode::no_space,
        fmt::format("the snapshot {}/{} is full ({} of the volume were overwritten before it was "
                    "read): the sync was abandoned; the volume is not affected",
                    group_, name_, "20 %"));
  }

 private:
  std::string group_;
  std::string name_;
  Kind kind_;
  std::string pool_;  // of a thin one
  std::string path_;
  std::chrono::steady_clock::time_point next_look_;
};

}  // namespace

std::unique_ptr<VolumeSnapshot> lvm_snapshot_of(const std::string& path,
                                                const std::string& prefix) {
  auto rows = ask_lvm("vg_name,lv_name", path);
  if (rows.size() != 1 || rows[0].size() != 2) return nullptr;
  const std::string group = rows[0][0], volume = group + "/" + rows[0][1];
  // A volume that is not thin has no pool.
  auto pools = ask_lvm("pool_lv", volume);
  std::string pool = pools.size() == 1 && pools[0].size() == 1 ? pools[0][0] : "";
  std::string name = prefix + base::to_hex(base::random_array<4>());
  std::vector<std::string> command{"lvcreate", "--snapshot", "--yes"};
  if (pool.empty()) {
    command.insert(command.end(), {"--extents", kSnapshotRoom});
  } else {
    // It needs no room of its own; without this, LVM makes it but gives it no device.
    command.insert(command.end(), {"--setactivationskip", "n"});
  }
  command.insert(command.end(), {"--name", name, volume});
  base::run_checked(command);
  return std::make_unique<LvmSnapshot>(group, name, pool.empty() ? Kind::thick : Kind::thin, pool);
}

void remove_abandoned_lvm_snapshots(const std::string& prefix) {
  for (const auto& row : ask_lvm("vg_name,lv_name", "")) {
    if (row.size() == 2 && row[1].starts_with(prefix)) remove_volume(row[0] + "/" + row[1]);
  }
}

}  // namespace agent
