#include "restore/restore_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "images/sources/image_locks.h"
#include "restore/image_converter.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

// QEMU does not open a device exclusively; and a file that is replaced would be written on by its
// VM where nobody finds it.
void require_no_vm(int fd, const std::string& target) {
  if (images::is_open_in_qemu(fd))
    throw Error(ErrorCode::busy, target + " is in use by a virtual machine: stop that first");
}

enum class TargetKind { file, device };

// Validates before anything is changed.
TargetKind check_target(const DiskRestore& options) {
  const std::vector<std::string>& known = formats();
  if (std::find(known.begin(), known.end(), options.format) == known.end()) {
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("there is no format '{}': {}", options.format, all));
  }
  struct stat status;
  if (::stat(options.target.c_str(), &status) != 0) {
    if (errno == ENOENT) return TargetKind::file;
    throw base::system_error(errno, "cannot look at " + options.target);
  }
  if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument, options.target + " is a folder: name a file in it");
  }
  if (options.overwrite == Overwrite::refuse) {
    throw Error(ErrorCode::already_exists, options.target + " exists: --force overwrites it");
  }
  if (S_ISREG(status.st_mode)) {
    base::UniqueFd fd(::open(options.target.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd) require_no_vm(fd.get(), options.target);
    return TargetKind::file;
  }
  if (!S_ISBLK(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument,
                options.target + " is neither a file nor a block device");
  }
  if (options.format != "raw") {
    throw Error(ErrorCode::invalid_argument, "a block device takes only the raw format");
  }
  return TargetKind::device;
}

// A file beside the target that replaces it, or is removed.
class FileInProgress {
 public:
  explicit FileInProgress(const std::string& target) : target_(target) {
    std::filesystem::path path(target);
    std::string name =
        fmt::format(".{}.{}.part", path.filename().string(), base::to_hex(base::random_array<4>()));
    path_ = (path.parent_path() / name).string();
  }
  ~FileInProgress() {
    if (!published_) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

  // Makes the content durable, then the name.
  void publish() {
    base::UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0)
      throw base::system_error(errno, "cannot make durable " + target_);
    if (::rename(path_.c_str(), target_.c_str()) != 0)
      throw base::system_error(errno, "cannot make " + target_);
    published_ = true;
    base::real_file_system().sync_directory(base::parent_path(target_));
  }

 private:
  std::string target_;
  std::string path_;
  bool published_ = false;
};

RawOptions raw_options(const DiskRestore& options, ZeroHandling zeros) {
  RawOptions raw;
  raw.thread_count = options.thread_count;
  raw.zeros = zeros;
  raw.on_progress = options.on_progress;
  raw.stop = options.stop;
  return raw;
}

uint64_t write_raw_file(images::DiskReader& disk, const DiskRestore& options,
                        const FileInProgress& file) {
  base::UniqueFd fd(::open(file.path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!fd) throw base::system_error(errno, "cannot make a file beside " + options.target);
  if (::ftruncate(fd.get(), static_cast<off_t>(disk.size())) != 0) {
    throw base::system_error(
        errno, fmt::format("a file of {} is not possible there", base::format_size(disk.size())));
  }
  return write_raw(disk, fd.get(), raw_options(options, ZeroHandling::skip)).bytes_written;
}

uint64_t write_device(images::DiskReader& disk, const DiskRestore& options) {
  base::UniqueFd fd(::open(options.target.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
  if (!fd && errno == EBUSY) {
    throw Error(ErrorCode::busy, options.target + " is in use: unmount what is on it");
  }
  if (!fd) throw base::system_error(errno, "cannot open " + options.target);
  require_no_vm(fd.get(), options.target);
  uint64_t size = 0;
  if (::ioctl(fd.get(), BLKGETSIZE64, &size) != 0)
    throw base::system_error(errno, "cannot measure " + options.target);
  if (size < disk.size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} has {}, the disk needs {}", options.target, base::format_size(size),
                            base::format_size(disk.size())));
  }
  uint64_t written =
      write_raw(disk, fd.get(), raw_options(options, ZeroHandling::write)).bytes_written;
  if (::fsync(fd.get()) != 0)
    throw base::system_error(errno, "cannot make durable " + options.target);
  return written;
}

uint64_t write_target(images::DiskReader& disk, const DiskRestore& options, TargetKind kind) {
  if (kind == TargetKind::device) return write_device(disk, options);
  FileInProgress file(options.target);
  uint64_t written = options.format == "raw" ? write_raw_file(disk, options, file)
                                             : convert_image(disk, options, file.path());
  if (options.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  file.publish();
  return written;
}

}  // namespace

const std::vector<std::string>& formats() {
  static const std::vector<std::string> kFormats{"raw", "qcow2", "vmdk", "vhdx",     "vdi",
                                                 "vpc", "qcow",  "qed",  "parallels"};
  return kFormats;
}

DiskResult restore_disk(images::StoreReader& reader, const DiskRestore& options) {
  auto begin = std::chrono::steady_clock::now();
  std::unique_ptr<images::DiskReader> disk = reader.open_disk(options.point, options.disk_name);
  TargetKind kind = check_target(options);
  DiskResult result;
  result.size = disk->size();
  try {
    result.bytes_written = write_target(*disk, options, kind);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space) {
      throw error.with_context(
          fmt::format("{} was not restored to {}", options.disk_name, options.target));
    }
    throw Error(
        ErrorCode::no_space,
        fmt::format("{} was not restored to {}: the disk there is full. Nothing of it was kept; "
                    "choose a place with more room",
                    options.disk_name, options.target));
  }
  auto duration = std::chrono::steady_clock::now() - begin;
  result.duration_ms = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  return result;
}

}  // namespace restore
