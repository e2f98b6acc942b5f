#include "images/volumes/layered_disks.h"

#include "base/clean_text.h"
#include "images/volumes/mapped_volume.h"

namespace images::volumes {
namespace {

constexpr size_t kMaxName = 100;

}  // namespace

LayeredDisks::LayeredDisks(std::vector<DiskSource*> disks) : disks_(std::move(disks)) {
  for (DiskSource* disk : disks_) map_.disk_sizes.push_back(disk->size());
  validate(map_, "the disks");
}

base::Bytes LayeredDisks::read(Source source, uint64_t offset, uint64_t size) const {
  uint64_t whole = size_of(source);
  if (offset > whole || size > whole - offset) return {};
  base::Bytes bytes(size);
  MappedVolume(map_, disks_, source).read(offset, bytes);
  return bytes;
}

Source LayeredDisks::add(std::vector<Segment> segments, std::optional<Cipher> cipher) {
  Layer layer;
  // A sum that is too large to be true must not wrap: validate() sees each length.
  for (const Segment& segment : segments) layer.size += segment.length;
  layer.segments = std::move(segments);
  layer.cipher = std::move(cipher);
  map_.layers.push_back(std::move(layer));
  try {
    validate(map_, "its description");
  } catch (...) {
    map_.layers.pop_back();
    throw;
  }
  return map_.source_of_layer(map_.layers.size() - 1);
}

Source LayeredDisks::add_linear(Source below, uint64_t offset, uint64_t length) {
  return add({{.length = length, .places = {{below, offset}}}});
}

std::string clean_name(std::string_view name) {
  std::string clean = base::clean_text(name, kMaxName);
  for (char& c : clean) {
    if (c == ' ' || c == '"' || c == '\\') c = '_';
  }
  return clean.empty() ? "unnamed" : clean;
}

}  // namespace images::volumes
