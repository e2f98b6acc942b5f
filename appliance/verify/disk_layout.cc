#include "appliance/verify/disk_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/clean_text.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using nlohmann::json;

constexpr size_t kMaxParts = 64;
constexpr size_t kMaxPartName = 20;  // bytes after the disk's name
constexpr uint64_t kLargestSector = 4096;
constexpr int kNothingThere = 2;  // blkid(8): nothing was found

// Containers of partitions, and partitions that hold no file system: a BIOS boot loader's, and
// Microsoft's reserved one.
bool is_skipped_type(std::string type) {
  for (char& c : type) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 5> kSkipped{"5", "F", "85",
                                                     "21686148-6449-6E6F-744E-656564454649",
                                                     "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"};
  return std::find(kSkipped.begin(), kSkipped.end(), type) != kSkipped.end();
}

}  // namespace

std::vector<FoundPart> parts_in(const std::string& text, const std::string& path,
                                const std::string& disk) {
  std::vector<FoundPart> parts;
  std::optional<json> parsed = base::find_json(text);
  const json* table = parsed ? base::find_field(*parsed, "partitiontable") : nullptr;
  if (table == nullptr) return parts;
  uint64_t sector = base::find_natural(*table, "sectorsize").value_or(512);
  if (sector == 0 || sector > kLargestSector) return parts;
  for (const json& each : base::find_list(*table, "partitions")) {
    std::string node = base::find_text(each, "node").value_or("");
    uint64_t start = base::find_natural(each, "start").value_or(0);
    uint64_t size = base::find_natural(each, "size").value_or(0);
    constexpr uint64_t kLimit = uint64_t{1} << 50;
    if (!node.starts_with(path) || start == 0 || size == 0 || start > kLimit || size > kLimit)
      continue;
    if (is_skipped_type(base::find_text(each, "type").value_or(""))) continue;
    parts.push_back({disk + base::clean_text(node.substr(path.size()), kMaxPartName),
                     start * sector, size * sector});
    if (parts.size() == kMaxParts) break;
  }
  return parts;
}

FoundType type_in(const std::string& text, int status) {
  FoundType found;
  found.is_blank = status == kNothingThere;
  for (const std::string& line : base::split(text, '\n')) {
    if (line.starts_with("TYPE=")) found.type = base::clean_text(base::trim(line.substr(5)), 40);
    if (line.starts_with("UUID=")) found.uuid = base::clean_text(base::trim(line.substr(5)), 40);
  }
  return found;
}

}  // namespace appliance::verify
