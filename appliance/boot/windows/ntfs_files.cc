#include "appliance/boot/windows/ntfs_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <strings.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;

constexpr std::chrono::minutes kPatience{2};
constexpr const char* kCopy = "/tmp/ntfs.file";
constexpr size_t kSector = 512;
constexpr size_t kMaxRuns = 65536;
constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxWords = 300;

struct Run {
  uint64_t offset = 0, size = 0;  // bytes, in the file system
};

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

uint64_t cluster_size(const std::string& device) {
  Bytes boot(kSector);
  std::ifstream file(device, std::ios::binary);
  file.read(reinterpret_cast<char*>(boot.data()), kSector);
  uint64_t sector = boot[11] | uint64_t{boot[12]} << 8, count = boot[13];
  if (count > 0x80) count = uint64_t{1} << std::min<uint64_t>(256 - count, 20);
  bool is_usual = file && sector >= 256 && sector <= 4096 && count != 0;
  if (!is_usual) throw Error(ErrorCode::corrupt, "the NTFS file system has no usual cluster size");
  return sector * count;
}

// From ntfscluster's list of the file's attributes: "0x80 - non-resident", a heading, and a row of
// three numbers (cluster of the file, cluster of the file system, count) for each run.
std::vector<Run> runs_of(const std::string& device, const std::string& path) {
  base::CommandResult done =
      base::run_command({"ntfscluster", "-f", "-q", "-F", path, device}, kPatience);
  std::vector<Run> runs;
  uint64_t size = cluster_size(device), next = 0;
  bool in_data = false;
  std::istringstream lines(done.output);
  for (std::string line; done.status == 0 && std::getline(lines, line);) {
    if (line.find(" - ") != std::string::npos) {
      if (in_data) break;
      in_data = line.find("0x80 - non-resident") != std::string::npos;
      continue;
    }
    if (!in_data || line.find("VCN") != std::string::npos) continue;
    std::istringstream row(line);
    int64_t first = -1, place = -1, count = -1;
    row >> first >> place >> count;
    constexpr int64_t kMost = int64_t{1} << 40;
    bool is_run = first == static_cast<int64_t>(next) && place > 0 && count > 0 && place < kMost &&
                  count < kMost && runs.size() < kMaxRuns;
    if (!is_run) return {};
    runs.push_back({static_cast<uint64_t>(place) * size, static_cast<uint64_t>(count) * size});
    next += static_cast<uint64_t>(count);
  }
  return runs;
}

void transfer(int descriptor, bool writes, uint64_t offset, uint8_t* bytes, size_t size) {
  while (size > 0) {
    auto at = static_cast<off_t>(offset);
    ssize_t count =
        writes ? ::pwrite(descriptor, bytes, size, at) : ::pread(descriptor, bytes, size, at);
    if (count <= 0) throw Error(ErrorCode::io, "the NTFS file system cannot be read and written");
    offset += static_cast<uint64_t>(count);
    bytes += count;
    size -= static_cast<size_t>(count);
  }
}

// Calls act(place in the file system, place in the file, size) for each piece of the first `size`
// bytes of the file, none longer than a sector.
template <typename Act>
void for_each_sector(const std::vector<Run>& runs, size_t size, Act act) {
  size_t at = 0;
  for (const Run& run : runs) {
    for (uint64_t in_run = 0; in_run < run.size && at < size; in_run += kSector) {
      size_t piece = std::min(kSector, size - at);
      act(run.offset + in_run, at, piece);
      at += piece;
    }
  }
}

uint64_t total(const std::vector<Run>& runs) {
  uint64_t sum = 0;
  for (const Run& run : runs) sum += run.size;
  return sum;
}

}  // namespace

std::optional<std::string> NtfsFiles::find(const std::string& path) const {
  std::string found;
  size_t depth = 0;
  for (const std::string& wanted : base::split(path, '/')) {
    if (wanted.empty()) continue;
    if (++depth > kMaxDepth) return std::nullopt;
    base::CommandResult done =
        base::run_command({"ntfsls", "-f", "-q", "-a", "-p", "/" + found, device_}, kPatience);
    std::optional<std::string> name;
    std::istringstream lines(done.output);
    for (std::string line; !name && std::getline(lines, line);)
      if (::strcasecmp(line.c_str(), wanted.c_str()) == 0) name = line;
    if (done.status != 0) {
      throw Error(ErrorCode::unsupported, fmt::format("its NTFS file system cannot be read: {}",
                                                      base::clean_text(done.errors, kMaxWords)));
    }
    if (!name) return std::nullopt;
    found += (found.empty() ? "" : "/") + *name;
  }
  return found;
}

Bytes NtfsFiles::read(const std::string& path, size_t limit) const {
  base::CommandResult done =
      base::run_command({"sh", "-c", R"(ntfscat -f "$0" "$1" 2>/dev/null | head -c "$3" > "$2")",
                         device_, path, kCopy, std::to_string(limit)},
                        kPatience);
  return done.status == 0 ? read_file(kCopy) : Bytes{};
}

void NtfsFiles::write_in_place(const std::string& path, const Bytes& before, const Bytes& after,
                               bool& written) const {
  if (before.size() != after.size())
    throw Error(ErrorCode::unsupported, fmt::format("{} would have to become longer", path));
  std::vector<Run> runs = runs_of(device_, path);
  base::UniqueFd device(::open(device_.c_str(), O_RDWR | O_CLOEXEC));
  if (device.get() < 0) throw Error(ErrorCode::io, "the NTFS file system cannot be written");
  bool same = total(runs) >= before.size();
  Bytes sector(kSector);
  for_each_sector(runs, before.size(), [&](uint64_t place, size_t at, size_t size) {
    if (!same) return;
    transfer(device.get(), false, place, sector.data(), size);
    same = std::equal(sector.begin(), sector.begin() + static_cast<ptrdiff_t>(size),
                      before.begin() + static_cast<ptrdiff_t>(at));
  });
  if (!same) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{} is not kept as it is in clusters of its file system (compressed, "
                            "encrypted, or just being written)",
                            path));
  }
  written = true;
  Bytes content = after;
  for_each_sector(runs, after.size(), [&](uint64_t place, size_t at, size_t size) {
    auto from = static_cast<ptrdiff_t>(at), to = static_cast<ptrdiff_t>(at + size);
    if (!std::equal(after.begin() + from, after.begin() + to, before.begin() + from))
      transfer(device.get(), true, place, content.data() + at, size);
  });
  if (::fsync(device.get()) != 0)
    throw Error(ErrorCode::io, "the NTFS file system cannot be written");
  if (read(path, after.size() + 1) != after)
    throw Error(ErrorCode::io, "the changed registry was not read back as it was written");
}

}  // namespace appliance::boot::windows
