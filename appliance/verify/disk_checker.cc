#include "appliance/verify/disk_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "appliance/verify/disk_view.h"
#include "appliance/verify/file_system_check.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using nlohmann::json;

constexpr std::chrono::minutes kLookTimeout{5};  // runs at the lowest priority on a busy machine
constexpr std::chrono::minutes kCheckTimeout{10};
constexpr size_t kMaxParts = 64;
constexpr size_t kMaxPartName = 20;  // bytes after the disk's name
constexpr uint64_t kLargestSector = 4096;

// Containers of partitions, and partitions that hold no file system: a BIOS boot loader's, and
// Microsoft's reserved one.
bool is_skipped_type(std::string type) {
  for (char& c : type) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 5> kSkipped{"5", "F", "85",
                                                     "21686148-6449-6E6F-744E-656564454649",
                                                     "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"};
  return std::find(kSkipped.begin(), kSkipped.end(), type) != kSkipped.end();
}

struct Part {
  std::string name;  // "vda1"
  uint64_t offset = 0, size = 0;
};

// Parses the output of sfdisk --json, whose numbers come from the disk. Nothing if it is not a
// table.
std::vector<Part> parts_in(const std::string& text, const std::string& path,
                           const std::string& disk) {
  std::vector<Part> parts;
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

// blkid(8): nothing was found.
constexpr int kNothingThere = 2;

// blkid's TYPE; empty if there is none.
std::string type_in(const std::string& text) {
  for (const std::string& line : base::split(text, '\n')) {
    if (line.starts_with("TYPE=")) return base::clean_text(base::trim(line.substr(5)), 40);
  }
  return "";
}

}  // namespace

DiskChecker::DiskChecker(DiskCheckPlan plan)
    : plan_(std::move(plan)), thread_("disk checker", base::AfterFailure::end,
                                      [this](const std::stop_token& stop) { run(stop); }) {}

DiskChecker::~DiskChecker() = default;

std::vector<Observation> DiskChecker::take() {
  auto seen = seen_.lock();
  return std::exchange(*seen, {});
}

void DiskChecker::run(const std::stop_token& stop) {
  for (const std::string& disk : plan_.disks) {
    if (stop.stop_requested()) break;
    try {
      look_at_disk(disk, stop);
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::cancelled)
        put({.signal = Signal::file_system_skipped, .subject = disk, .detail = error.message()});
    } catch (const std::exception& error) {
      put({.signal = Signal::file_system_skipped, .subject = disk, .detail = error.what()});
    }
  }
  over_ = true;
}

void DiskChecker::look_at_disk(const std::string& disk, const std::stop_token& stop) {
  struct Found {
    Part part;
    std::string type;
    bool is_blank = false;  // nothing is recognised there
  };
  std::vector<Found> found;
  base::ScratchDirectory scratch("/var/tmp", "muletto-look");
  {
    DiskView whole(plan_.source, plan_.point, {.disk = disk}, plan_.plugin_path, scratch.path(),
                   stop);
    auto look_at = [&](const Part& part) -> Found {
      std::vector<std::string> words{"blkid", "-p", "-o", "export"};
      if (part.size != 0) {
        words.insert(words.end(), {"--offset", std::to_string(part.offset), "--size",
                                   std::to_string(part.size)});
      }
      words.push_back(whole.path());
      FinishedCommand done = whole.run(words, kLookTimeout, stop);
      return {part, type_in(done.output), done.status == kNothingThere};
    };
    std::vector<Part> parts =
        parts_in(whole.run({"sfdisk", "--json", whole.path()}, kLookTimeout, stop).output,
                 whole.path(), disk);
    if (parts.empty()) parts.push_back({disk});
    for (const Part& part : parts) found.push_back(look_at(part));
  }
  std::erase_if(found, [](const Found& each) { return is_uninteresting(each.type); });
  for (const Found& each : found) {
    if (each.is_blank || !each.type.empty()) {
      put({.signal = Signal::volume,
           .good = !each.is_blank,
           .subject = each.part.name,
           .detail = each.type});
    }
  }
  for (const Found& each : found) {
    std::string subject =
        each.type.empty() ? each.part.name : fmt::format("{} ({})", each.part.name, each.type);
    auto skipped = [&](std::string why) {
      put({.signal = Signal::file_system_skipped, .subject = subject, .detail = std::move(why)});
    };
    auto check = check_for(each.type, "");
    if (!check) {
      skipped(each.type.empty() ? "it holds no known file system" : "no program checks this type");
      continue;
    }
    try {
      DiskView view(plan_.source, plan_.point,
                    {disk, each.part.offset, each.part.size, check->writes, check->bounded_files},
                    plan_.plugin_path, scratch.path(), stop);
      FinishedCommand done =
          view.run(check_for(each.type, view.path())->command, kCheckTimeout, stop);
      CheckOutcome outcome = outcome_of(each.type, view.path(), done.status, done.output);
      if (outcome.result == CheckResult::unknown) {
        skipped(outcome.words);
      } else {
        put({.signal = Signal::file_system,
             .good = outcome.result == CheckResult::whole,
             .subject = subject,
             .detail = outcome.words});
      }
    } catch (const base::Error& error) {
      bool cancelled = error.code() == base::ErrorCode::cancelled;
      skipped(cancelled ? "its check had not finished when the test boot ended" : error.message());
      if (cancelled) throw;
    }
  }
}

}  // namespace appliance::verify
