#include "appliance/boot/files/overlay.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "images/export/export_process.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr uint64_t kGranularity = 64 << 10;  // bytes, the allocation unit of overlays
constexpr std::chrono::minutes kPatience{30};
constexpr size_t kMaxExtentsPerCommand = 500;
// Exit codes of qemu-img check.
constexpr int kCorrupt = 2;
constexpr int kLeaks = 3;

// The overlay alone, without what it builds on.
std::string alone(const std::string& path) {
  return "json:" + base::dump_text({{"driver", "qcow2"},
                                    {"file", {{"driver", "file"}, {"filename", path}}},
                                    {"backing", nullptr}});
}

json parse(const std::string& text, const std::string& path) {
  // A map has a line for each extent, and there may be millions.
  auto parsed = base::find_json(text, base::kOwnJsonLimits);
  if (!parsed) throw Error(ErrorCode::io, "qemu-img gives no valid answer about " + path);
  return std::move(*parsed);
}

json describe(const std::string& path) {
  return parse(base::run_checked({"qemu-img", "info", "--output=json", alone(path)}), path);
}

std::vector<json> bitmaps_of(const std::string& path) {
  json info = describe(path);
  return info.value("/format-specific/data/bitmaps"_json_pointer, std::vector<json>{});
}

// qemu-img keeps the mode of an existing file, and creates one that everyone may read.
void make_private_file(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) throw base::system_error(errno, "cannot make the file " + path);
}

void make_durable(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0)
    throw base::system_error(errno, "cannot make durable " + path);
  base::real_file_system().sync_directory(base::parent_path(path));
}

// An empty image of the same size, in whose bitmap exactly the overlay's own clusters are set:
// zeros are written there, which takes no space.
void mark_allocated(const std::string& overlay, const std::string& marks, uint64_t size) {
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", marks, std::to_string(size)});
  base::run_checked({"qemu-img", "bitmap", "--add", "-g", std::to_string(kGranularity), "-f",
                     "qcow2", marks, kOriginBitmap});
  json map = parse(
      base::run_checked({"qemu-img", "map", "--output=json", alone(overlay)}, kPatience), overlay);
  std::vector<std::string> command;
  auto run = [&] {
    if (command.size() <= 3) return;
    command.push_back(marks);
    std::string words = base::run_checked(command, kPatience);
    command.clear();
  };
  for (const json& extent : map) {
    if (!extent.at("present").get<bool>()) continue;
    if (command.size() > kMaxExtentsPerCommand) run();
    if (command.empty()) command = {"qemu-io", "-f", "qcow2"};
    command.push_back("-c");
    command.push_back(fmt::format("write -q -z {} {}", extent.at("start").get<uint64_t>(),
                                  extent.at("length").get<uint64_t>()));
  }
  run();
}

}  // namespace

void make_overlay(const std::string& path, const std::string& socket_path,
                  const std::string& disk_name, uint64_t size, Tracking tracking) {
  make_private_file(path);
  base::run_checked(
      {"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-o", "compat=1.1,lazy_refcounts=off", "-F",
       "raw", "-b", images::export_uri(socket_path, disk_name), path, std::to_string(size)},
      std::chrono::minutes(1));
  if (tracking == Tracking::on) {
    base::run_checked({"qemu-img", "bitmap", "--add", "-g", std::to_string(kGranularity),
                       alone(path), kOriginBitmap},
                      std::chrono::minutes(1));
  }
  // The record that promises the overlay is durable, so the overlay must be durable before it.
  make_durable(path);
}

void repair_overlay(const std::string& path) {
  base::CommandResult checked =
      base::run_command({"qemu-img", "check", "-q", alone(path)}, kPatience);
  if (checked.status == kLeaks) {
    base::run_checked({"qemu-img", "check", "-q", "-r", "leaks", alone(path)}, kPatience);
    make_durable(path);
    return;
  }
  if (checked.status == 0) return;
  if (checked.status == kCorrupt) {
    throw Error(
        ErrorCode::corrupt,
        fmt::format("the overlay {} is damaged: its tables contradict each other. Copy it before "
                    "anything else; qemu-img check shows what is wrong, and a new boot of the "
                    "newest point loses only what was written since",
                    path));
  }
  bool locked = checked.errors.find("lock") != std::string::npos;
  throw Error(locked ? ErrorCode::busy : ErrorCode::io,
              locked ? fmt::format("another process has the overlay {} open", path)
                     : fmt::format("the overlay {} cannot be examined: {}", path, checked.errors));
}

bool has_sound_bitmaps(const std::string& path) {
  bool has_origin = false;
  for (const json& bitmap : bitmaps_of(path)) {
    for (const json& flag : bitmap.value("flags", json::array())) {
      if (flag == "in-use") return false;
    }
    has_origin = has_origin || bitmap.value("name", "") == kOriginBitmap;
  }
  return has_origin;
}

void rebuild_origin_bitmap(const std::string& path) {
  base::ScratchDirectory scratch(base::parent_path(path), "marks");
  std::string marks = scratch.path() + "/marks.qcow2";
  mark_allocated(path, marks, describe(path).at("virtual-size").get<uint64_t>());
  for (const json& bitmap : bitmaps_of(path)) {
    base::run_checked(
        {"qemu-img", "bitmap", "--remove", alone(path), bitmap.at("name").get<std::string>()});
  }
  // One process: bitmaps are written when it closes the image, so both steps or neither.
  base::run_checked({"qemu-img", "bitmap", "--add", "--merge", kOriginBitmap, "-g",
                     std::to_string(kGranularity), "-b", marks, "-F", "qcow2", alone(path),
                     kOriginBitmap});
  make_durable(path);
}

}  // namespace appliance::boot
