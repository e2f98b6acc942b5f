#include "restore/restore_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
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

enum class TargetState { absent, file, device };

void require_known_format(const std::string& format) {
  const std::vector<std::string>& known = formats();
  if (std::find(known.begin(), known.end(), format) != known.end()) return;
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::invalid_argument, fmt::format("there is no format '{}': {}", format, all));
}

TargetState state_of(const DiskRestore& options) {
  require_known_format(options.format);
  struct stat status;
  TargetState state = TargetState::absent;
  if (::stat(options.target.c_str(), &status) != 0) {
    if (errno != ENOENT) throw base::system_error(errno, "cannot look at " + options.target);
  } else if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument, options.target + " is a folder: name a file in it");
  } else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument,
                options.target + " is neither a file nor a block device");
  } else {
    state = S_ISBLK(status.st_mode) ? TargetState::device : TargetState::file;
  }
  if (options.format == "raw") return state;
  if (options.store.location.empty()) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("from an appliance, disks are written as raw files or to devices; make a "
                    "{} file of one afterwards, with 'qemu-img convert'",
                    options.format));
  }
  if (state == TargetState::device)
    throw Error(ErrorCode::invalid_argument, "a block device takes only the raw format");
  if (options.placement == Placement::in_place || options.write.survey) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("only raw files and block devices can be compared and written in "
                            "place: a {} file is always written anew",
                            options.format));
  }
  return state;
}

bool is_in_place(const DiskRestore& options, TargetState state) {
  return state == TargetState::device || options.placement == Placement::in_place ||
         (options.write.survey && state == TargetState::file);
}

// A survey of a target that does not exist: everything but zeros.
WriteResult survey_of_nothing(images::DiskReader& disk) {
  constexpr uint64_t kWindow = 1ull << 30;
  WriteResult result;
  result.bytes_total = disk.size();
  for (uint64_t at = 0; at < disk.size(); at += kWindow)
    for (const images::Extent& extent : disk.extents(at, std::min(kWindow, disk.size() - at)))
      if (extent.kind == images::ExtentKind::data) result.bytes_differing += extent.length;
  return result;
}

// Asks if it must, and keeps the answer.
void permit(const Target& target, const TargetFindings& findings, DiskRestore& options) {
  try {
    require_overwritable(target, findings, options.machine_name, options.overwriting);
  } catch (const Error&) {
    if (!options.ask) throw;
    std::string whose =
        findings.foreign.empty() ? "" : ", WHICH IS NOT WHAT THIS DISK HAS: it is another disk";
    std::string answer = options.ask(
        fmt::format("{} holds {}{}.\nTo overwrite it, type the machine's name ({}):", target.path(),
                    findings.description(), whose, options.machine_name));
    options.overwriting = {answer, answer == options.machine_name};
    require_overwritable(target, findings, options.machine_name, options.overwriting);
  }
}

// Opens, examines, and asks. A survey changes nothing and needs no permission.
Target open_checked(images::DiskReader& disk, DiskRestore& options, TargetFindings& findings) {
  Target target = Target::open(options.target);
  findings = examine_target(target, disk);
  if (!options.write.survey) permit(target, findings, options);
  return target;
}

// A file that is going to be replaced loses its content, too.
void check_replaced(images::DiskReader& disk, DiskRestore& options) {
  TargetFindings findings;
  open_checked(disk, options, findings);
}

WriteResult write_in_place(images::DiskReader& disk, DiskRestore& options, TargetState state,
                           std::vector<std::string>& notes) {
  if (state == TargetState::absent) {
    Target target = Target::create(options.target);
    target.resize(disk.size());
    return write_differences(disk, target, options.write);
  }
  TargetFindings findings;
  Target target = open_checked(disk, options, findings);
  notes = findings.notes;
  if (!options.write.survey) {
    target.resize(target.kind() == TargetKind::file ? disk.size() : target.size());
  } else if (target.size() < disk.size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} has {}, the disk has {}: it can be restored in place, but not "
                            "surveyed",
                            target.path(), base::format_size(target.size()),
                            base::format_size(disk.size())));
  }
  return write_differences(disk, target, options.write);
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

void write_new_file(images::DiskReader& disk, DiskRestore& options, TargetState state,
                    DiskResult& result) {
  if (state == TargetState::file) check_replaced(disk, options);
  FileInProgress file(options.target);
  if (options.format == "raw") {
    Target target = Target::create(file.path());
    target.resize(disk.size());
    result.written = write_differences(disk, target, options.write);
  } else {
    result.file_size = convert_image(disk, options, file.path());
    result.written.bytes_total = disk.size();
    result.written.bytes_written = result.file_size;
    if (options.write.verify != Verify::none) result.written.bytes_verified = disk.size();
  }
  if (options.write.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  file.publish();
}

}  // namespace

const std::vector<std::string>& formats() {
  static const std::vector<std::string> kFormats{"raw", "qcow2", "vmdk", "vhdx",     "vdi",
                                                 "vpc", "qcow",  "qed",  "parallels"};
  return kFormats;
}

void check_restore(images::StoreReader& reader, DiskRestore& options) {
  TargetState state = state_of(options);
  if (state == TargetState::absent) return;
  std::unique_ptr<images::DiskReader> disk = reader.open_disk(options.point, options.disk_name);
  check_replaced(*disk, options);
}

DiskResult restore_disk(images::StoreReader& reader, const DiskRestore& given) {
  auto begin = std::chrono::steady_clock::now();
  DiskRestore options = given;
  std::unique_ptr<images::DiskReader> disk = reader.open_disk(options.point, options.disk_name);
  TargetState state = state_of(options);
  DiskResult result;
  bool in_place = is_in_place(options, state);
  try {
    if (options.write.survey && state == TargetState::absent) {
      result.written = survey_of_nothing(*disk);
    } else if (in_place) {
      result.written = write_in_place(*disk, options, state, result.notes);
    } else {
      write_new_file(*disk, options, state, result);
    }
  } catch (const Error& error) {
    std::string rest = !in_place ? "Nothing of it was kept"
                                 : "The target holds a part of it; the same command resumes";
    if (error.code() != ErrorCode::no_space) {
      throw error.with_context(
          fmt::format("{} was not restored to {}", options.disk_name, options.target));
    }
    throw Error(ErrorCode::no_space, fmt::format("{} was not restored to {}: the disk there is "
                                                 "full. {}; choose a place with more room",
                                                 options.disk_name, options.target, rest));
  }
  auto duration = std::chrono::steady_clock::now() - begin;
  result.duration_ms = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  return result;
}

}  // namespace restore
