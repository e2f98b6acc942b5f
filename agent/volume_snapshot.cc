#include "agent/volume_snapshot.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <vector>

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
constexpr double kFull = 95.0;  // percent
constexpr auto kLookInterval = std::chrono::seconds(2);

// The lines LVM prints, split into columns; none if it fails or is not installed.
std::vector<std::vector<std::string>> ask_lvm(const std::string& columns,
                                              const std::string& volume) {
  std::vector<std::string> command{"lvs", "--noheadings", "--separator", "|", "-o", columns};
  if (!volume.empty()) command.push_back(volume);
  base::CommandResult result;
  try {
    result = base::run_command(command);
  } catch (const base::Error& error) {
    if (error.code() == base::ErrorCode::not_found) return {};
    throw;
  }
  std::vector<std::vector<std::string>> rows;
  if (result.status != 0) return rows;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(base::trim(line));
    rows.emplace_back();
    for (std::string field; std::getline(fields, field, '|');)
      rows.back().push_back(base::trim(field));
  }
  return rows;
}

void remove_volume(const std::string& volume) noexcept {
  try {
    base::run_checked({"lvremove", "--force", "--yes", volume});
  } catch (const base::Error& error) {
    base::log().warn("the snapshot {} stays: {}", volume, error.message());
  }
}

}  // namespace

std::unique_ptr<VolumeSnapshot> VolumeSnapshot::of(const std::string& path,
                                                   const std::string& prefix) {
  auto rows = ask_lvm("vg_name,lv_name", path);
  if (rows.size() != 1 || rows[0].size() != 2) return nullptr;
  std::string name = prefix + base::to_hex(base::random_array<4>());
  base::run_checked({"lvcreate", "--snapshot", "--yes", "--extents", kSnapshotRoom, "--name", name,
                     rows[0][0] + "/" + rows[0][1]});
  return std::unique_ptr<VolumeSnapshot>(new VolumeSnapshot(rows[0][0], name));
}

VolumeSnapshot::VolumeSnapshot(std::string group, std::string name)
    : group_(std::move(group)), name_(std::move(name)) {
  auto rows = ask_lvm("lv_path", group_ + "/" + name_);
  if (rows.size() == 1 && rows[0].size() == 1) {
    path_ = rows[0][0];
    return;
  }
  remove_volume(group_ + "/" + name_);
  throw base::Error(base::ErrorCode::io, "LVM does not say where its snapshot " + name_ + " is");
}

VolumeSnapshot::~VolumeSnapshot() { remove_volume(group_ + "/" + name_); }

void VolumeSnapshot::check() {
  auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return;
  next_look_ = now + kLookInterval;
  auto rows = ask_lvm("data_percent", group_ + "/" + name_);
  if (rows.size() != 1 || rows[0].size() != 1) return;
  if (std::strtod(rows[0][0].c_str(), nullptr) < kFull) return;
  throw base::Error(
      base::ErrorCode::no_space,
      fmt::format("the snapshot {}/{} is full ({} of the volume were overwritten before it was "
                  "read): the sync was abandoned; the volume is not affected",
                  group_, name_, "20 %"));
}

void remove_abandoned_snapshots(const std::string& prefix) noexcept {
  try {
    for (const auto& row : ask_lvm("vg_name,lv_name", "")) {
      if (row.size() == 2 && row[1].starts_with(prefix)) remove_volume(row[0] + "/" + row[1]);
    }
  } catch (const base::Error& error) {
    base::log().warn("{}", error.message());
  }
}

}  // namespace agent
