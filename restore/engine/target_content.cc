#include "restore/engine/target_content.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_jail.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

// Where the signatures of file systems, partition tables and volumes are.
constexpr uint64_t kHeadSize = 4ull << 20, kTailSize = 1ull << 20;
constexpr uint64_t kJailMemory = 256ull << 20;
constexpr auto kBlkidTimeout = std::chrono::seconds(30);
constexpr int kNothingFound = 2, kAmbiguous = 8;
constexpr size_t kMaxWord = 100;  // bytes of a label or id that are shown
const char kCopyPlace[] = "/disk";

void copy_part(uint64_t offset, uint64_t size, const ReadPart& read, int copy, bool& blank) {
  base::Bytes bytes(size);
  read(offset, bytes);
  if (base::is_all_zero(bytes)) return;
  blank = false;
  if (::pwrite(copy, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(bytes.size()))
    throw base::system_error(errno, "cannot copy the beginning of a disk");
}

// "NAME=VALUE" per line; blanks in a value are "\ ".
std::map<std::string, std::string> parse_export(const std::string& output) {
  std::map<std::string, std::string> values;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    size_t equals = line.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    std::string value = line.substr(equals + 1);
    value.erase(std::remove(value.begin(), value.end(), '\\'), value.end());
    values[line.substr(0, equals)] = base::clean_text(value, kMaxWord);
  }
  return values;
}

std::string kind_of(const std::string& usage) {
  if (usage == "filesystem") return "file system";
  if (usage == "crypto") return "encrypted volume";
  if (usage == "raid") return "part of a volume";
  return usage == "other" ? "data" : "content";
}

std::vector<std::string> signatures_of(const std::string& output) {
  auto values = parse_export(output);
  std::vector<std::string> found;
  if (!values["PTTYPE"].empty())
    found.push_back(fmt::format("{} partition table {}", values["PTTYPE"], values["PTUUID"]));
  if (!values["TYPE"].empty()) {
    std::string label = values["LABEL"].empty() ? "" : " '" + values["LABEL"] + "'";
    found.push_back(
        fmt::format("{} {}{} {}", values["TYPE"], kind_of(values["USAGE"]), label, values["UUID"]));
  }
  for (std::string& each : found)
    if (each.back() == ' ') each.pop_back();
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

DiskContent content_of(uint64_t disk_size, const ReadPart& read) {
  DiskContent content;
  content.is_blank = true;
  if (disk_size == 0) return content;
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(),
                                 "muletto-restore");
  // Sparse, and as large as the disk, so that everything is found at its place.
  base::UniqueFd copy(
      ::open((scratch.path() + "/disk").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!copy) throw base::system_error(errno, "cannot make a file in " + scratch.path());
  const uint64_t head = std::min(disk_size, kHeadSize);
  if (::ftruncate(copy.get(), static_cast<off_t>(disk_size)) != 0) {
    // Larger than a file may be there: only its beginning can be looked at.
    if (errno != EFBIG) throw base::system_error(errno, "cannot copy the beginning of a disk");
    disk_size = head;
  }
  copy_part(0, head, read, copy.get(), content.is_blank);
  if (uint64_t tail = std::min(disk_size - head, kTailSize); tail > 0)
    copy_part(disk_size - tail, tail, read, copy.get(), content.is_blank);
  if (content.is_blank) return content;
  base::FileJail jail({{copy.get(), kCopyPlace}}, kJailMemory);
  base::CommandResult result =
      base::run_command({"/sbin/blkid", "-p", "-o", "export", kCopyPlace}, kBlkidTimeout, &jail);
  if (result.status == kAmbiguous) {
    content.signatures = {"signatures of several kinds"};
  } else if (result.status == 0) {
    content.signatures = signatures_of(result.output);
  } else if (result.status != kNothingFound) {
    throw Error(ErrorCode::unavailable,
                fmt::format("blkid cannot look at the disk (status {}): {}", result.status,
                            base::clean_text(result.errors, kMaxWord)));
  }
  return content;
}

}  // namespace restore
