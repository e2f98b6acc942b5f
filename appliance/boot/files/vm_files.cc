#include "appliance/boot/files/vm_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace appliance::boot {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::ErrorCode;

constexpr uint64_t kFirmwareLimit = 16 << 20;

void make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  fs::create_directory(path, error);  // never the state folder itself: its disk may be unmounted
  if (error || ::chmod(path.c_str(), mode) != 0) {
    throw base::system_error(error ? error.value() : errno, "cannot make the folder " + path);
  }
}

// Others may pass through our own folders, but not list them: the names below are random.
void let_pass(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) ::chmod(path.c_str(), status.st_mode | S_IXOTH);
}

// While a boot's folder is made: a name that is no boot's, and that says whose it is.
std::string staged_ending(const access::NodeId& node) { return "." + node.hex() + ".new"; }
std::string staged_folder(const BootPaths& paths, const access::NodeId& node) {
  return paths.folder + staged_ending(node);
}

std::optional<BootId> find_boot_id(const std::string& name) {
  try {
    return BootId::from_hex(name);
  } catch (const Error&) {
    return std::nullopt;  // not ours
  }
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure))
    names.push_back(entry->path().filename().string());
  if (failure) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("the instant VMs are unknown: {} cannot be read ({}); is its disk mounted?",
                    folder, failure.message()));
  }
  return names;
}

}  // namespace

void make_base_folders(const std::string& state_directory, const std::string& run_directory) {
  for (const std::string& directory : {state_directory, run_directory}) {
    make_folder(base::join_path(directory, "vms"), 0711);
    let_pass(directory);
  }
}

std::optional<std::string> obstacle_on(const std::string& path, const QemuUser& qemu) {
  if (qemu.user == 0) return std::nullopt;
  for (fs::path place = fs::path(path); !place.empty(); place = place.parent_path()) {
    struct stat status;
    if (::stat(place.c_str(), &status) == 0) {
      bool passable = (status.st_mode & S_IXOTH) != 0 ||
                      (status.st_uid == qemu.user && (status.st_mode & S_IXUSR) != 0) ||
                      (status.st_gid == qemu.group && (status.st_mode & S_IXGRP) != 0);
      if (!passable) {
        return fmt::format(
            "QEMU's user cannot access {}: run chmod o+x on it, or move the state folder",
            place.string());
      }
    }
    if (place == place.root_path()) break;
  }
  return std::nullopt;
}

void make_boot_folders(const BootPaths& paths, const QemuUser& qemu) {
  for (const std::string& path : {paths.folder, paths.run_folder}) {
    make_folder(path, 0710);
    if (::chown(path.c_str(), static_cast<uid_t>(-1), qemu.group) != 0) {
      throw base::system_error(
          errno, fmt::format("cannot give {} to QEMU's group (id {})", path, qemu.group));
    }
  }
}

void make_recorded_boot_folders(const BootPaths& paths, const QemuUser& qemu,
                                const BootRecord& record) {
  BootPaths staged = paths;
  staged.folder = staged_folder(paths, record.vm.node);
  staged.record_path =
      base::join_path(staged.folder, fs::path(paths.record_path).filename().string());
  base::FileSystem& files = base::real_file_system();
  try {
    make_boot_folders(staged, qemu);
    write_record(files, staged, record);
    files.rename(staged.folder, paths.folder);
    files.sync_directory(base::parent_path(paths.folder));
  } catch (...) {
    remove_boot_folders(staged);
    remove_boot_folders(paths);
    throw;
  }
}

std::vector<BootId> unfinished_boots(const std::string& state_directory,
                                     const access::NodeId& node) {
  const std::string ending = staged_ending(node);
  std::vector<BootId> ids;
  for (const std::string& name : names_in(base::join_path(state_directory, "vms"))) {
    if (!name.ends_with(ending)) continue;
    if (auto id = find_boot_id(name.substr(0, name.size() - ending.size()))) ids.push_back(*id);
  }
  return ids;
}

void remove_unfinished_boot(const BootPaths& paths, const access::NodeId& node) {
  std::error_code error;
  const std::string folder = staged_folder(paths, node);
  fs::remove_all(folder, error);
  if (error) throw base::system_error(error.value(), "cannot remove " + folder);
}

bool is_bare_folder(const BootPaths& paths) {
  const std::string record = fs::path(paths.record_path).filename().string();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(paths.folder, error)) {
    if (!entry.path().filename().string().starts_with(record)) return false;
  }
  return !error || error == std::errc::no_such_file_or_directory;
}

void make_uefi_variables(const BootPaths& paths, const MachinePlan& plan,
                         const UefiFirmware& firmware) {
  base::Bytes variables = plan.uefi_variables;
  if (variables.empty()) {
    variables = base::read_file(base::real_file_system(), firmware.variables_path, kFirmwareLimit);
    try {
      if (plan.boot_entry) variables = with_boot_entry(variables, *plan.boot_entry);
    } catch (const base::Error& error) {
      base::log().warn("{}", error.message());  // the firmware may still find a loader
    }
  }
  base::write_file_durably(base::real_file_system(), paths.nvram_path, variables);
}

void remove_run_folder(const BootPaths& paths) {
  std::error_code error;
  fs::remove_all(paths.run_folder, error);
  if (error) throw base::system_error(error.value(), "cannot remove " + paths.run_folder);
}

void remove_boot_folders(const BootPaths& paths) {
  remove_run_folder(paths);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(paths.folder, error)) {
    if (entry.path().filename() != "boot.json") fs::remove_all(entry.path(), error);
    if (error) break;
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw base::system_error(error.value(), "cannot remove files of " + paths.folder);
  }
  fs::remove_all(paths.folder, error);
  if (error) throw base::system_error(error.value(), "cannot remove " + paths.folder);
}

std::vector<BootId> boots_in(const std::string& directory) {
  std::vector<BootId> ids;
  for (const std::string& name : names_in(base::join_path(directory, "vms"))) {
    if (auto id = find_boot_id(name)) ids.push_back(*id);
  }
  return ids;
}

uint64_t used_bytes(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

uint64_t free_bytes(const std::string& directory) {
  struct statvfs status;
  if (::statvfs(directory.c_str(), &status) != 0) return 0;
  // What QEMU can use, which is not root: ext4 reserves a part for root.
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

void shorten_log(const std::string& path, uint64_t limit, uint64_t kept) noexcept {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  uint64_t size = static_cast<uint64_t>(status.st_size);
  if (size <= limit) return;
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return;
  try {
    std::string tail(kept, '\0');
    ssize_t count = ::pread(fd.get(), tail.data(), tail.size(), static_cast<off_t>(size - kept));
    tail.resize(count > 0 ? static_cast<size_t>(count) : 0);
    size_t line = tail.find('\n');
    if (line != std::string::npos) tail.erase(0, line + 1);
    if (::ftruncate(fd.get(), 0) != 0) return;
    (void)!::write(fd.get(), tail.data(), tail.size());
  } catch (const std::bad_alloc&) {
    // The next round does it.
  }
}

std::string read_part(const std::string& path, uint64_t offset, uint64_t limit) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "";
  std::string part(limit, '\0');
  ssize_t count = ::pread(fd.get(), part.data(), part.size(), static_cast<off_t>(offset));
  part.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return part;
}

}  // namespace appliance::boot
