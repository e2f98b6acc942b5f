#include "appliance/verify/volume_look.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/verify/check_cost.h"
#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/private_file.h"
#include "images/volumes/keys/key_stretching.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
namespace volumes = images::volumes;

// Stretching a passphrase may take 2 GiB (volumes::kMaxStretchMemory) and a minute of an idle
// processor, for each key and each slot.
constexpr uint64_t kMemory = volumes::kMaxStretchMemory + (512ull << 20);
constexpr std::chrono::minutes kTimeout{10};
constexpr size_t kMaxAnswer = 64 << 20;
constexpr size_t kMaxWords = 200;

// All disks, one after the other: the program opens one file.
volumes::VolumeMap row_of(const std::vector<NamedDisk>& disks) {
  volumes::VolumeMap map;
  volumes::Layer layer;
  for (size_t i = 0; i < disks.size(); ++i) {
    map.disk_sizes.push_back(disks[i].size);
    if (disks[i].size == 0) continue;
    layer.segments.push_back(
        {.length = disks[i].size, .places = {{static_cast<volumes::Source>(i), 0}}});
    layer.size += disks[i].size;
  }
  map.layers.push_back(std::move(layer));
  return map;
}

std::string text_of(const base::Bytes& bytes) { return std::string(base::as_text(bytes)); }

void clean(volumes::FoundVolumes& found) {
  for (auto& each : found.volumes) {
    each.name = base::clean_text(each.name, kMaxWords);
    each.origin = base::clean_text(each.origin, kMaxWords);
  }
  for (auto& each : found.unread) {
    each.name = base::clean_text(each.name, kMaxWords);
    each.why = base::clean_text(each.why, kMaxWords);
  }
  for (std::string& each : found.notes) each = base::clean_text(each, kMaxWords);
}

}  // namespace

VolumeLook::VolumeLook(const VolumeLookPlan& plan, const std::string& directory,
                       const std::stop_token& stop)
    : secrets_("/run", "muletto-volumes"), map_path_(secrets_.path() + "/map") {
  volumes::VolumeMap row = row_of(plan.disks);
  volumes::validate(row, "the row of the point's disks");
  write_map(row);
  ViewedPart part;
  for (const NamedDisk& disk : plan.disks) part.disks.push_back(disk.name);
  part.volume = ViewedVolume{map_path_, row.source_of_layer(0)};
  DiskView view(plan.source, plan.point, part, plan.plugin_path, directory, stop);
  RunLimits limits{.timeout = kTimeout, .output_size = kMaxAnswer};
  if (!plan.keys.empty()) limits.memory_size = std::min(kMemory, most_check_memory());
  limits.input_path = secrets_.path() + "/question";
  limits.output_directory = secrets_.path();
  base::write_private_file(
      limits.input_path, text_of(volumes::pack_question({row.disk_sizes, plan.parts, plan.keys})));
  FinishedCommand done =
      view.run({base::program_beside("muletto-volumes"), view.path()}, limits, stop);
  if (done.status != 0) {
    throw Error(
        ErrorCode::unavailable,
        done.status > 128 && done.status != base::kNotConfined
            ? fmt::format("the look into its volumes was ended by signal {}", done.status - 128)
            : base::clean_text(done.output, kMaxWords));
  }
  found_ = volumes::unpack_found(base::as_bytes(done.output));
  if (found_.map.disk_sizes != row.disk_sizes)
    throw Error(ErrorCode::corrupt, "the look into its volumes answered about other disks");
  clean(found_);
  write_map(found_.map);
}

void VolumeLook::write_map(const volumes::VolumeMap& map) {
  base::ByteWriter writer;
  volumes::pack_map(map, writer);
  base::write_private_file(map_path_, base::as_text(writer.bytes()));
}

}  // namespace appliance::verify
