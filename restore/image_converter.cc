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
  if (options.write.rate_limit != 0)
    command.insert(command.end(), {"-r", std::to_string(options.write.rate_limit)});
  if (options.format == "vpc") command.insert(command.end(), {"-o", "force_size=on"});
  if (options.stream_optimized) command.insert(command.end(), {"-o", "subformat=streamOptimized"});
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

// What is compared then is what the medium returns.
void drop_cached(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) throw base::system_error(errno, "cannot make durable " + path);
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
}

// Runs qemu-img to its end, and shows its progress as that of the phase. Returns its status.
int run_image_tool(const std::vector<std::string>& command, uint64_t size, WritePhase phase,
                   const DiskRestore& options, std::string& words) {
  base::UniqueFd output(::memfd_create("qemu-img", MFD_CLOEXEC));
  if (!output) throw base::system_error(errno, "cannot make a file in memory");
  base::SubprocessOptions child_options;
  child_options.output_path = fmt::format("/proc/self/fd/{}", output.get());
  auto begin = std::chrono::steady_clock::now();
  base::Subprocess child(command, child_options);
  auto show = [&](uint64_t done) {
    if (!options.write.on_progress) return;
    WriteProgress progress;
    progress.phase = phase;
    progress.bytes_total = size;
    (phase == WritePhase::compare ? progress.bytes_compared : progress.bytes_verified) = done;
    progress.elapsed_ms =
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::steady_clock::now() - begin)
                                  .count());
    if (done > 0 && progress.elapsed_ms > 0) {
      progress.rate = done * 1000 / progress.elapsed_ms;
      progress.left_ms = (size - done) * progress.elapsed_ms / done;
    }
    options.write.on_progress(progress);
  };
  std::optional<int> status;
  while (!(status = child.wait_for(kLookInterval))) {
    if (options.write.stop.stop_requested())
      throw Error(ErrorCode::cancelled, "interrupted");  // ends the child
    show(size / 10000 * percent_times_100(tail_of(output.get())));
  }
  // A terminal's interrupt reaches qemu-img too, and may end it first.
  if (options.write.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  if (*status == 0) show(size);
  words = words_of(tail_of(output.get()));
  return *status;
}

}  // namespace

uint64_t convert_image(images::DiskReader& disk, const DiskRestore& options,
                       const std::string& path) {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(),
                                 "muletto-restore");
  images::ExportProcess exported =
      images::ExportProcess::start(export_options(disk, options, scratch.path()));
  std::string uri = images::export_uri(exported.socket_path(), disk.disk().name);
  std::string words;
  if (run_image_tool(convert_command(options, uri, path), disk.size(), WritePhase::compare, options,
                     words) != 0) {
    bool full = words.find("No space left on device") != std::string::npos;
    throw Error(full ? ErrorCode::no_space : ErrorCode::io, words);
  }
  drop_cached(path);
  if (options.write.verify != Verify::none &&
      run_image_tool({"qemu-img", "compare", "-p", "-f", "raw", "-F", options.format, uri, path},
                     disk.size(), WritePhase::verify, options, words) != 0) {
    throw Error(ErrorCode::io, path + " returns other bytes than were written to it: " + words);
  }
  struct stat file;
  return ::stat(path.c_str(), &file) == 0 ? static_cast<uint64_t>(file.st_blocks) * 512 : 0;
}

}  // namespace restore
