// How fast a folder's disk is, as the store uses it: large writes in a row, and small durable ones.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "base/crypto.h"
#include "base/doctor/machine.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace base::doctor {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kPieces = 64;
constexpr size_t kSmall = 4096;  // bytes, also the alignment that O_DIRECT needs
constexpr size_t kCommits = 15;
constexpr auto kPatience = std::chrono::seconds(4);  // of each part
constexpr double kSlowRate = 40e6;                   // bytes a second
constexpr double kSlowCommit_ms = 40;

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// An unnamed file, past the page cache if the file system allows it.
UniqueFd open_unnamed(const std::string& directory, bool& is_direct) {
  is_direct = true;
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600));
  if (fd) return fd;
  is_direct = false;
  fd = UniqueFd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) throw system_error(errno, "cannot write in " + directory);
  return fd;
}

void write_piece(int fd, const void* bytes, size_t size, size_t offset) {
  if (::pwrite(fd, bytes, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size))
    throw system_error(errno, "cannot write the trial file");
}

void make_durable(int fd) {
  if (::fdatasync(fd) != 0) throw system_error(errno, "cannot write the trial file durably");
}

DiskSpeed measure(const std::string& directory) {
  DiskSpeed speed;
  UniqueFd fd = open_unnamed(directory, speed.is_past_cache);
  std::unique_ptr<void, Free> memory(std::aligned_alloc(kSmall, kPiece));
  if (!memory) throw Error(ErrorCode::io, "there is no memory for a trial");
  auto* bytes = static_cast<uint8_t*>(memory.get());
  fill_random({bytes, kPiece});

  auto begin = SteadyClock::now();
  size_t count = 0;
  for (; count < kPieces && SteadyClock::now() - begin < kPatience; ++count)
    write_piece(fd.get(), bytes, kPiece, count * kPiece);
  make_durable(fd.get());
  speed.write_rate = static_cast<double>(count * kPiece) / seconds_since(begin);

  if (!speed.is_past_cache) ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  begin = SteadyClock::now();
  size_t read = 0;
  for (; read < count && SteadyClock::now() - begin < kPatience; ++read) {
    if (::pread(fd.get(), bytes, kPiece, static_cast<off_t>(read * kPiece)) !=
        static_cast<ssize_t>(kPiece))
      throw system_error(errno, "cannot read the trial file");
  }
  speed.read_rate = static_cast<double>(read * kPiece) / seconds_since(begin);

  std::vector<double> times;
  begin = SteadyClock::now();
  for (size_t i = 0; i < kCommits && (i == 0 || SteadyClock::now() - begin < kPatience); ++i) {
    auto one = SteadyClock::now();
    write_piece(fd.get(), bytes, kSmall, i * kSmall);
    make_durable(fd.get());
    times.push_back(seconds_since(one) * 1000);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
  speed.commit_ms = times[times.size() / 2];
  return speed;
}

}  // namespace

Finding judge_disk_speed(const DiskSpeed& speed, const std::string& directory) {
  std::string what =
      fmt::format("{} is written at {}/s and read at {}/s, a durable write takes {:.1f} ms{}",
                  directory, format_size(static_cast<uint64_t>(speed.write_rate)),
                  format_size(static_cast<uint64_t>(speed.read_rate)), speed.commit_ms,
                  speed.is_past_cache ? "" : " (through the page cache, so reading may be slower)");
  if (speed.write_rate < kSlowRate || speed.read_rate < kSlowRate)
    return {
        Outcome::warn, "disk speed", what,
        "instant VMs will be slow: look for other load with 'iostat -x 1', and at the disk with "
        "'smartctl -a'"};
  if (speed.commit_ms > kSlowCommit_ms)
    return {Outcome::warn, "disk speed", what,
            "use a disk or a controller whose write cache is safe from power cuts"};
  return {Outcome::ok, "disk speed", what, ""};
}

std::vector<Finding> look_at_disk_speed(const std::string& directory) {
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0)
    throw system_error(errno, "cannot ask for the space of " + directory);
  if (space.f_bavail * space.f_frsize < 4 * kPieces * kPiece)
    throw Error(ErrorCode::no_space, "too little space is free in " + directory + " for a trial");
  return {judge_disk_speed(measure(directory), directory)};
}

}  // namespace base::doctor
