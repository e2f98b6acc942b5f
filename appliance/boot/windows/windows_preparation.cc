#include "appliance/boot/windows/windows_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "appliance/boot/windows/partition_view.h"
#include "appliance/boot/windows/windows_sentences.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxWords = 400;
constexpr size_t kMaxPartitions = 16;
constexpr uint32_t kSector = 512;

void note_changes(const json& answer, WindowsOutcome& outcome) {
  const json& changes = base::expect_list(answer, "changes", kMaxWindowsChanges);
  for (const json& each : changes)
    outcome.notes.push_back("Windows was prepared: " + windows_change_sentence(each));
  if (base::expect_natural(answer, "replayed") != 0 && !changes.empty()) {
    outcome.notes.push_back(
        "Windows was running when the point was taken: the newest changes of its registry were "
        "taken from its logs, as Windows itself would have done.");
  }
  if (changes.empty()) {
    outcome.notes.push_back(
        "Windows needed no preparation: the drivers of its new controllers start already.");
  } else {
    outcome.changes = base::dump_text(changes);
  }
  if (base::find_flag(answer, "fast_start").value_or(false))
    outcome.notes.push_back(kFastStartSentence);
}

}  // namespace

std::vector<NtfsPartition> ntfs_partitions(images::DiskReader& disk,
                                           const DiskInspection& inspection) {
  std::vector<uint64_t> starts = inspection.partition_starts;
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<NtfsPartition> found;
  for (size_t i = 0; i < starts.size() && found.size() < kMaxPartitions; ++i) {
    uint64_t end = i + 1 < starts.size() ? std::min(starts[i + 1], disk.size()) : disk.size();
    if (starts[i] % kSector != 0 || starts[i] >= end || end - starts[i] < kSector) continue;
    std::array<uint8_t, kSector> sector{};
    disk.read(starts[i], sector);
    if (std::memcmp(sector.data() + 3, "NTFS    ", 8) != 0) continue;
    uint64_t size = (end - starts[i]) / kSector * kSector;
    found.push_back({disk.disk().name, starts[i], size});
  }
  return found;
}

WindowsOutcome prepare_windows(const std::string& overlay_path, const NtfsPartition& partition) {
  WindowsOutcome outcome;
  try {
    PartitionView view(overlay_image(overlay_path), {{partition.offset, partition.size}},
                       PartitionView::Access::write);
    outcome.must_discard = true;  // unless it ends well
    json answer;
    try {
      answer = view.run({"prepare", view.path(0)});
    } catch (const Error& error) {
      outcome.must_discard = error.code() != ErrorCode::unsupported;
      throw;
    }
    WindowsOutcome good;
    if (base::expect_flag(answer, "windows")) note_changes(answer, good);
    view.close();
    return good;
  } catch (const std::exception& error) {
    outcome.notes.push_back(fmt::format(
        "A Windows on disk {} was not prepared for other hardware: {}. It may stop with 0x7B "
        "(INACCESSIBLE_BOOT_DEVICE): then choose another disk bus (--disk-bus).",
        partition.disk, base::clean_text(error.what(), kMaxWords)));
    base::log().warn("{}", outcome.notes.back());
    return outcome;
  }
}

std::string take_back_windows(const std::string& disk_path, ImageFormat format,
                              const NtfsPartition& partition, const std::string& changes) {
  PartitionView view(format == ImageFormat::qcow2 ? overlay_image(disk_path) : raw_image(disk_path),
                     {{partition.offset, partition.size}}, PartitionView::Access::write);
  json answer = view.run({"restore", view.path(0), changes});
  view.close();
  uint64_t all = base::parse_json(changes, "the changes").size();
  return fmt::format("{} of {} changes to Windows on disk {} were taken back.",
                     base::expect_natural(answer, "restored"), all, partition.disk);
}

}  // namespace appliance::boot
