#include "agent/homeward/open_target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/last_log_line.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "images/sources/image_locks.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::chrono::seconds kServingPatience{30};

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path(); }

base::UniqueFd open_or_throw(const std::string& path, int flags) {
  base::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) throw base::system_error(errno, "cannot open " + path);
  return fd;
}

void require_folder(const std::string& path) {
  struct stat folder {};
  if (::stat(path.c_str(), &folder) == 0 && S_ISDIR(folder.st_mode)) return;
  throw Error(ErrorCode::not_found,
              "there is no folder " + path + ": make it first, or choose another");
}

}  // namespace

OpenTarget::OpenTarget(const TargetWish& wish, images::DiskReader& disk,
                       const std::string& work_directory)
    : wish_(wish), work_directory_(work_directory), path_(wish.path) {
  struct stat status {};
  is_new_ = ::lstat(wish.path.c_str(), &status) != 0;
  bool is_device = !is_new_ && S_ISBLK(status.st_mode);
  if (is_device && wish.format != "raw") {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} is a block device: its format is raw, not {}", path_, wish.format));
  }
  if (is_new_) {
    require_folder(folder_of(path_));
    path_ += kUnfinished;
  }
  bool exists = ::lstat(path_.c_str(), &status) == 0;
  if (is_new_ && wish.survey) open_empty(disk.size());
  else if (wish.format == "raw") open_raw(exists);
  else open_qcow2(exists, disk.size());
  // An unfinished file is ours, whatever it holds.
  if (!is_new_) {
    restore::TargetFindings findings = restore::examine_target(*content_, disk);
    notes_ = findings.notes;
    if (!wish.survey)
      restore::require_overwritable(*content_, findings, wish.machine_name, wish.overwriting);
  }
  if (content_->size() >= disk.size()) return;
  if (wish.format == "raw" && !wish.survey) {
    content_->resize(disk.size());
    return;
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{} has {}, and the disk {}: it does not fit", path_,
                          base::format_size(content_->size()), base::format_size(disk.size())));
}

OpenTarget::~OpenTarget() {
  try {
    end_serving();
  } catch (const std::exception&) {
    // The image is as it is after a crash of QEMU: consistent, perhaps with leaked clusters.
  }
}

// What a file that does not exist lacks: everything.
void OpenTarget::open_empty(uint64_t size) {
  std::string path = work_directory_ + "/empty";
  ::unlink(path.c_str());
  content_.emplace(restore::Target::create(path));
  content_->resize(size);
  ::unlink(path.c_str());
}

void OpenTarget::open_raw(bool exists) {
  if (exists) content_.emplace(restore::Target::open(path_));
  else content_.emplace(restore::Target::create(path_));
}

void OpenTarget::open_qcow2(bool exists, uint64_t size) {
  if (!exists) {
    base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1", "--", path_,
                       std::to_string(size)});
    if (::chmod(path_.c_str(), 0640) != 0)
      throw base::system_error(errno, "cannot protect " + path_);
  }
  {
    base::UniqueFd image = open_or_throw(path_, O_RDONLY);
    if (images::is_open_in_qemu(image.get())) {
      throw Error(ErrorCode::busy,
                  path_ + " is in use by a running machine, or another program of QEMU's");
    }
  }
  serve_image();
}

// The image's content as a file. The daemon holds QEMU's locks. It must get one write at a time: QEMU
// 7.2 reads every FUSE request into one buffer, also while it carries out a write, and mixes them up
// (docs/facts.md). Through the page cache the kernel sends the next write when the last is answered;
// past it, it would send several.
void OpenTarget::serve_image() {
  clear_work_directory(work_directory_);
  std::string mount = work_directory_ + "/disk", log = work_directory_ + "/storage-daemon.log";
  base::UniqueFd(::open(mount.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  json file{{"driver", "file"}, {"node-name", "file"}, {"filename", path_}, {"discard", "unmap"}};
  json image{{"driver", "qcow2"}, {"node-name", "image"}, {"file", "file"}, {"discard", "unmap"}};
  json served{{"type", "fuse"},      {"id", "content"},  {"node-name", "image"},
              {"mountpoint", mount}, {"writable", true}, {"growable", false},
              {"allow-other", "off"}};
  base::SubprocessOptions options;
  options.output_path = log;
  daemon_.emplace(
      std::vector<std::string>{"qemu-storage-daemon", "--blockdev", base::dump_text(file),
                               "--blockdev", base::dump_text(image), "--export",
                               base::dump_text(served)},
      options);
  auto deadline = std::chrono::steady_clock::now() + kServingPatience;
  for (;;) {
    struct stat there {
    }, around{};
    bool is_mounted = ::stat(mount.c_str(), &there) == 0 &&
                      ::stat(work_directory_.c_str(), &around) == 0 &&
                      there.st_dev != around.st_dev;
    if (is_mounted) break;
    if (daemon_->wait_for(std::chrono::milliseconds(20))) {
      std::string why = base::last_log_line(log, "qemu-storage-daemon");
      throw Error(ErrorCode::io, fmt::format("QEMU cannot open {} as qcow2: {}", path_, why));
    }
    if (std::chrono::steady_clock::now() > deadline)
      throw Error(ErrorCode::unavailable, "qemu-storage-daemon does not serve " + path_);
  }
  content_.emplace(restore::Target::open(mount, restore::TargetAccess::cached));
}

void OpenTarget::end_serving() {
  content_.reset();
  if (!daemon_) return;
  daemon_->signal(SIGTERM);
  auto status = daemon_->wait_for(kServingPatience);
  daemon_.reset();
  clear_work_directory(work_directory_);
  if (!status || *status != 0)
    throw Error(ErrorCode::io, "QEMU did not finish writing " + path_ + " in order");
}

void OpenTarget::finish() {
  end_serving();
  if (wish_.survey || !is_new_) return;
  base::UniqueFd file = open_or_throw(path_, O_RDONLY);
  if (::fsync(file.get()) != 0) throw base::system_error(errno, "cannot write " + path_);
  // Never over something that has come into being meanwhile.
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, wish_.path.c_str(), RENAME_NOREPLACE) != 0)
    throw base::system_error(errno, "cannot give the file its name " + wish_.path);
  base::UniqueFd folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0)
    throw base::system_error(errno, "cannot write the folder of " + wish_.path);
}

void clear_work_directory(const std::string& work_directory) noexcept {
  std::string mount = work_directory + "/disk";
  while (::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  ::unlink(mount.c_str());
}

}  // namespace agent::homeward
