// Proxmox VE's backups. A compressed one is unpacked first, by its own program, which sees nothing
// but it: the stream's parts are in any order, and a disk is read from front to back.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_jail.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "images/imports/export_kinds.h"
#include "images/imports/proxmox_config.h"
#include "images/imports/vma_archive.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr uint64_t kMaxVariables = 4 << 20;  // bytes
constexpr uint64_t kReserve = 256 << 20;     // bytes that stay free
constexpr auto kPoll = std::chrono::milliseconds(200);

// What an archive is read from; deleted with the last disk.
struct OpenArchive {
  std::unique_ptr<base::ScratchDirectory> scratch;  // of an unpacked one
  base::UniqueFd fd;
  std::shared_ptr<VmaArchive> archive;
};

base::UniqueFd open_file(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::invalid_argument, path + " is not a file");
  return fd;
}

std::string scratch_parent(const MachineExportOptions& options) {
  return options.unpack_directory.empty() ? fs::temp_directory_path().string()
                                          : options.unpack_directory;
}

// The program that unpacks it to its standard output; empty: it is not compressed.
std::vector<std::string> unpacker_of(const std::string& path) {
  std::string name = path;
  for (char& each : name) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  // Proxmox' zstd uses long windows for large backups.
  if (name.ends_with(".zst")) return {"zstd", "-d", "-q", "-c", "--long=31", path};
  if (name.ends_with(".gz")) return {"gzip", "-d", "-q", "-c", path};
  if (name.ends_with(".lzo")) return {"lzop", "-d", "-q", "-c", path};
  return {};
}

void expect_room(const std::string& folder, const std::string& path) {
  std::error_code failed;
  fs::space_info space = fs::space(folder, failed);
  if (failed || space.available >= kReserve) return;
  throw Error(ErrorCode::no_space,
              fmt::format("{} is too large to be unpacked in {}; set TMPDIR to a folder with more "
                          "room, or unpack it yourself",
                          path, folder));
}

base::Subprocess start_unpacking(const std::string& path, const base::FileJail& jail,
                                 const std::string& output) {
  base::SubprocessOptions how{.output_path = output};
  if (::geteuid() == 0) how.jail = &jail;
  std::vector<std::string> command = unpacker_of(path);
  try {
    return base::Subprocess(command, how);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    throw Error(ErrorCode::not_found,
                fmt::format("{} is compressed: the program {} is needed to unpack it", path,
                            command.front()));
  }
}

void write_all(int fd, base::ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw base::system_error(errno, "cannot write " + path);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

// Copies what comes out of the pipe, to its end. It is hostile: bounded by the free space.
void take_output(int pipe, const std::string& target, const std::string& path,
                 const MachineExportOptions& options) {
  constexpr size_t kPiece = 1 << 20;
  constexpr uint64_t kLookEvery = 64 << 20;  // bytes
  base::UniqueFd file(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) throw base::system_error(errno, "cannot create " + target);
  base::Bytes piece(kPiece);
  for (uint64_t size = 0, looked = 0;;) {
    expect_going_on(options);
    pollfd wait{pipe, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(kPoll.count())) == 0) continue;
    ssize_t count = ::read(pipe, piece.data(), piece.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) throw base::system_error(errno, "cannot read what was unpacked");
    if (count == 0) return;
    write_all(file.get(), base::ByteView(piece).first(static_cast<size_t>(count)), target);
    size += static_cast<uint64_t>(count);
    if (size - looked < kLookEvery) continue;
    looked = size;
    expect_room(fs::path(target).parent_path().string(), path);
    if (options.on_progress) options.on_progress("unpacking", size, 0);
  }
}

// The unpacked file, in `folder`. The program may write no file: its output comes by a pipe.
std::string unpack(const std::string& path, const base::UniqueFd& fd, const std::string& folder,
                   const MachineExportOptions& options) {
  std::string target = folder + "/archive.vma", name = folder + "/pipe";
  if (::mkfifo(name.c_str(), 0600) != 0) throw base::system_error(errno, "cannot make a pipe");
  base::UniqueFd pipe(::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!pipe) throw base::system_error(errno, "cannot open a pipe");
  base::FileJail jail({{fd.get(), path}});
  expect_room(folder, path);
  base::Subprocess program = start_unpacking(path, jail, name);
  take_output(pipe.get(), target, path, options);
  std::optional<int> status = program.wait_for(std::chrono::seconds(10));
  if (status == 0) return target;
  throw Error(
      ErrorCode::corrupt,
      fmt::format("{} cannot be unpacked: {} ended with status {}; it is damaged or cut off", path,
                  unpacker_of(path).front(), status.value_or(-1)));
}

OpenArchive open_archive(const std::string& path, const MachineExportOptions& options) {
  OpenArchive open;
  open.fd = open_file(path);
  std::string real = path;
  if (!unpacker_of(path).empty()) {
    open.scratch =
        std::make_unique<base::ScratchDirectory>(scratch_parent(options), "muletto-import");
    real = unpack(path, open.fd, open.scratch->path(), options);
    open.fd = open_file(real);
  }
  FilePart part{open.fd.get()};
  uint64_t total = size_of(part);
  open.archive = VmaArchive::open(part, path, [&](uint64_t done) {
    expect_going_on(options);
    if (options.on_progress) options.on_progress("reading the archive", done, total);
  });
  return open;
}

const size_t kNone = SIZE_MAX;

size_t device_index(const VmaArchive& archive, const std::string& name) {
  const auto& devices = archive.devices();
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].name == name) return i;
  }
  return kNone;
}

// The content of the flash chip, as the appliance's firmware has it.
void take_variables(const VmaArchive& archive, const std::string& name, ForeignMachine& machine) {
  size_t index = device_index(archive, name);
  if (name.empty()) return;
  if (index == kNone || archive.devices()[index].size > kMaxVariables) {
    machine.missing.emplace_back("its UEFI variables");
    return;
  }
  base::Bytes content(archive.devices()[index].size);
  archive.disk(index)->read(0, content);
  machine.state_files.emplace_back("nvram", std::move(content));
}

// Disks that the backup has and the configuration does not name are data all the same.
void add_unnamed_disks(const VmaArchive& archive, const ProxmoxMachine& read,
                       ForeignMachine& machine) {
  for (const VmaArchive::Device& device : archive.devices()) {
    auto same = [&](const ForeignDisk& disk) { return disk.file == device.name; };
    bool is_state = device.name == read.efi_device || device.name == read.tpm_device;
    if (is_state || std::any_of(machine.disks.begin(), machine.disks.end(), same)) continue;
    machine.disks.push_back({.file = device.name, .label = device.name, .controller_model = {}});
    if (!archive.machine_config().empty())
      machine.notes.push_back(device.name + " is not in its configuration: it is on SATA");
  }
}

}  // namespace

MachineExport open_vma(const std::string& path, const MachineExportOptions& options) {
  auto open = std::make_shared<OpenArchive>(open_archive(path, options));
  const VmaArchive& archive = *open->archive;
  ProxmoxMachine read = read_proxmox_config(archive.machine_config(), path);
  ForeignMachine& machine = read.machine;
  bool has_config = !archive.machine_config().empty();
  std::erase_if(machine.disks, [&](const ForeignDisk& disk) {
    bool is_missing = device_index(archive, disk.file) == kNone;
    if (is_missing) machine.missing.push_back(disk.label + " (it is not in the backup)");
    return is_missing;
  });
  take_variables(archive, read.efi_device, machine);
  if (!read.tpm_device.empty())
    machine.missing.emplace_back("its TPM (BitLocker will ask for the recovery key)");
  add_unnamed_disks(archive, read, machine);
  if (machine.disks.empty()) throw Error(ErrorCode::invalid_argument, path + " has no disk");
  std::vector<std::string> disk_names;
  MachineExport result = described("VMA", machine, disk_names);
  if (!has_config) {
    result.definition = {};
    result.notes.emplace_back("the backup has no configuration: the definition is a default one");
  }
  result.files.push_back(path);
  for (size_t i = 0; i < machine.disks.size(); ++i)
    result.disks.push_back(
        {disk_names[i], archive.disk(device_index(archive, machine.disks[i].file))});
  result.keeps = open;
  return result;
}

}  // namespace images
