#include "restore/image_converter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

constexpr auto kLookInterval = std::chrono::milliseconds(250);
constexpr size_t kTailSize = 4096;

images::ExportOptions export_options(images::DiskReader& disk, const DiskRestore& options,
                                     const std::string& directory) {
  images::ExportOptions exported;
  exported.store.location = std::filesystem::absolute(options.store.location).string();
  exported.point = options.point.hex();
  exported.disks = {disk.disk().name};
  if (!options.store.key_file.empty())
    exported.store.key_file = std::filesystem::absolute(options.store.key_file);
  if (!options.store.passphrase_file.empty())
    exported.store.passphrase_file = std::filesystem::absolute(options.store.passphrase_file);
  exported.socket_path = base::join_path(directory, "export.sock");
  return exported;
}

std::vector<std::string> convert_command(const DiskRestore& options, const std::string& uri,
                                         const std::string& path) {
  std::vector<std::string> command{"qemu-img", "convert", "-p", "-f", "raw", "-O", options.format};
  // Without it the format rounds the size to a geometry of cylinders.
  if (options.format == "vpc") command.insert(command.end(), {"-o", "force_size=on"});
  command.insert(command.end(), {uri, path});
  return command;
}

std::string tail_of(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return "";
  std::array<char, kTailSize> bytes;
  off_t begin = std::max<off_t>(0, status.st_size - static_cast<off_t>(bytes.size()));
  ssize_t count = ::pread(fd, bytes.data(), bytes.size(), begin);
  return std::string(bytes.data(), count > 0 ? static_cast<size_t>(count) : 0);
}

// qemu-img writes "    (12.34/100%)" and a carriage return.
uint64_t percent_times_100(const std::string& output) {
  size_t at = output.rfind('(');
  double percent = at == std::string::npos ? 0 : std::strtod(output.c_str() + at + 1, nullptr);
  return percent >= 0 && percent <= 100 ? static_cast<uint64_t>(percent * 100) : 0;
}

// What qemu-img printed besides its progress.
std::string words_of(const std::string& output) {
  size_t at = output.find("qemu-img:");
  return at == std::string::npos ? "qemu-img failed" : base::trim(output.substr(at));
}

}  // namespace

uint64_t convert_image(images::DiskReader& disk, const DiskRestore& options,
                       const std::string& path) {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(),
                                 "muletto-restore");
  images::ExportProcess exported =
      images::ExportProcess::start(export_options(disk, options, scratch.path()));
  base::UniqueFd output(::memfd_create("qemu-img", MFD_CLOEXEC));
  if (!output) throw base::system_error(errno, "cannot make a file in memory");
  base::SubprocessOptions child_options;
  child_options.output_path = fmt::format("/proc/self/fd/{}", output.get());
  std::string uri = images::export_uri(exported.socket_path(), disk.disk().name);
  base::Subprocess child(convert_command(options, uri, path), child_options);
  std::optional<int> status;
  while (!(status = child.wait_for(kLookInterval))) {
    if (options.stop.stop_requested())
      throw Error(ErrorCode::cancelled, "interrupted");  // ends the child
    uint64_t done = disk.size() / 10000 * percent_times_100(tail_of(output.get()));
    if (options.on_progress) options.on_progress({disk.size(), done, done});
  }
  // A terminal's interrupt reaches qemu-img too, and may end it first.
  if (options.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  if (*status != 0) {
    std::string words = words_of(tail_of(output.get()));
    bool full = words.find("No space left on device") != std::string::npos;
    throw Error(full ? ErrorCode::no_space : ErrorCode::io, words);
  }
  struct stat file;
  uint64_t written =
      ::stat(path.c_str(), &file) == 0 ? static_cast<uint64_t>(file.st_blocks) * 512 : 0;
  if (options.on_progress) options.on_progress({disk.size(), disk.size(), written});
  return written;
}

}  // namespace restore
