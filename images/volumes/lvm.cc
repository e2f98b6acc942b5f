// A volume group is described by a text, which most physical volumes keep, each with a number that
// counts its changes (seqno): the newest is valid. It names the physical volumes by id, each with
// the place of its first extent, and the logical volumes as segments of extents, on physical volumes
// or, for mirrors and RAID, on hidden logical volumes.
#include "images/volumes/lvm.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "images/volumes/lvm_text.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kLabelSectors = 4;  // a label is in one of the first sectors
constexpr size_t kIdSize = 32;
constexpr size_t kMaxAreas = 8;
constexpr uint64_t kAreaHeader = 512;
constexpr std::string_view kAreaMagic(
    "\x20\x4c\x56\x4d\x32\x20\x78\x5b\x35\x41\x25\x72\x30\x4e\x2a\x3e", 16);
constexpr size_t kMaxVolumes = 200;  // logical ones, of all groups
constexpr uint64_t kMaxExtents = 1ull << 40;
constexpr size_t kMaxNesting = 4, kMaxAttempts = 5000;

[[noreturn]] void refuse(std::string problem) {
  throw Error(ErrorCode::corrupt, std::move(problem));
}

// CRC-32 as LVM computes it: its own first value, and no last inversion.
uint32_t lvm_crc(base::ByteView bytes) {
  uint32_t crc = 0xf597a6cf;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return crc;
}

struct MetadataArea {
  uint64_t offset = 0, size = 0;  // within the physical volume
};

// The label's header: the id, then two lists of areas, of data and of metadata.
std::vector<MetadataArea> areas_in(base::ByteReader& header) {
  std::vector<MetadataArea> areas;
  for (int list = 0; list < 2; ++list) {
    for (size_t count = 0;; ++count) {
      MetadataArea area{header.u64(), header.u64()};
      if (area.offset == 0) break;
      if (count == kMaxAreas) header.fail("too many areas");
      if (list == 1) areas.push_back(area);
    }
  }
  return areas;
}

// The text in an area, which goes around in it; empty if there is none. Throws corrupt if its
// checksum is wrong.
std::string text_in(const LayeredDisks& disks, Source source, const MetadataArea& area) {
  base::Bytes header = disks.read(source, area.offset, kAreaHeader);
  if (header.empty() || base::as_text(header).substr(4, kAreaMagic.size()) != kAreaMagic)
    refuse("a metadata area of LVM has no header");
  if (lvm_crc(base::ByteView(header).subspan(4)) != base::load_u32(header.data()))
    refuse("the header of a metadata area of LVM has a wrong checksum");
  uint64_t start = base::load_u64(header.data() + 24), size = base::load_u64(header.data() + 32);
  uint64_t offset = base::load_u64(header.data() + 40), length = base::load_u64(header.data() + 48);
  uint32_t sum = base::load_u32(header.data() + 56);
  bool is_ignored = (base::load_u32(header.data() + 60) & 1) != 0;
  if (offset == 0 || length == 0 || is_ignored) return "";
  if (start != area.offset || size <= kAreaHeader || offset < kAreaHeader || offset >= size ||
      length > size - kAreaHeader || length > kMaxLvmText)
    refuse("a metadata area of LVM contradicts itself");
  uint64_t first = std::min(length, size - offset);
  base::Bytes text = disks.read(source, start + offset, first);
  if (length > first) {
    base::Bytes more = disks.read(source, start + kAreaHeader, length - first);
    text.insert(text.end(), more.begin(), more.end());
  }
  if (text.size() != length) refuse("a metadata area of LVM reaches beyond its volume");
  if (lvm_crc(text) != sum) refuse("the description of a volume group has a wrong checksum");
  return std::string(base::as_text(text));
}

// "name { seqno = 3 … }": how new it is.
uint64_t newness_of(const std::string& text) {
  LvmSection root = parse_lvm_text(text);
  return root.sections.empty() ? 0 : root.sections.front().second.number("seqno").value_or(0);
}

// Ids are written "abcdef-…" in texts, and without dashes in labels.
std::string without_dashes(std::string id) {
  std::erase(id, '-');
  return id;
}

// ---- one group

class Group {
 public:
  Group(LayeredDisks& disks, const std::vector<PhysicalVolume>& volumes, std::string name,
        const LvmSection& section)
      : disks_(disks), name_(std::move(name)), section_(section) {
    extent_size_ = section.number("extent_size").value_or(0) * kSector;
    constexpr uint64_t kMaxExtentSize = 1ull << 40;
    if (extent_size_ == 0 || extent_size_ > kMaxExtentSize)
      refuse("the description of its volume group has no usable extent size");
    if (const LvmSection* all = section.find("physical_volumes")) {
      for (const auto& [key, each] : all->sections) find_physical(volumes, key, each);
    }
  }

  void assemble(LogicalVolumes& found) {
    const LvmSection* all = section_.find("logical_volumes");
    if (all == nullptr) return;
    for (const auto& [key, each] : all->sections) {
      if (!each.lists("status", "VISIBLE")) continue;
      std::string name = clean_name(name_ + "/" + key);
      if (found.volumes.size() + found.unread.size() == kMaxVolumes) return;
      try {
        found.volumes.push_back({{name, layer_of(key, each)}, present_});
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
        found.unread.push_back({.name = name, .why = error.message()});
      }
    }
  }

 private:
  struct Physical {
    Source source = kNoSource;  // missing
    uint64_t begin = 0, extent_count = 0;
    std::string device;  // as its host knew it
  };

  void find_physical(const std::vector<PhysicalVolume>& volumes, const std::string& key,
                     const LvmSection& section) {
    Physical physical;
    physical.begin = section.number("pe_start").value_or(0);
    physical.extent_count = section.number("pe_count").value_or(0);
    constexpr uint64_t kMaxBegin = 1ull << 40;
    if (physical.begin > kMaxBegin || physical.extent_count > kMaxExtents)
      refuse("the description of its volume group has impossible numbers");
    physical.begin *= kSector;
    physical.device = clean_name(section.text("device"));
    std::string id = without_dashes(section.text("id"));
    size_t count = 0;
    for (const PhysicalVolume& each : volumes) {
      if (each.id != id) continue;
      physical.source = each.block.source;
      ++count;
    }
    if (count > 1) physical.source = kNoSource;  // nobody knows which one is meant
    if (physical.source != kNoSource) present_.push_back(physical.source);
    physicals_[key] = physical;
  }

  // The layer of a logical volume, also of a hidden one, which is made once. `depth` guards against
  // volumes that lie on themselves.
  Source layer_of(const std::string& name, const LvmSection& section, size_t depth = 0) {
    auto known = layers_.find(name);
    if (known != layers_.end()) return known->second;
    if (depth > kMaxNesting || ++attempt_count_ > kMaxAttempts)
      refuse("its description goes around in circles");
    if (section.lists("status", "PVMOVE") || section.lists("status", "LOCKED"))
      throw Error(ErrorCode::unsupported, "LVM was moving it when it was captured");
    std::map<uint64_t, const LvmSection*> ordered;
    for (const auto& [key, each] : section.sections) {
      if (!key.starts_with("segment")) continue;
      auto start = each.number("start_extent");
      if (!start || !ordered.emplace(*start, &each).second)
        refuse("its description has segments that overlap");
    }
    if (ordered.empty()) refuse("its description has no segments");
    std::vector<Segment> segments;
    uint64_t at = 0;
    for (const auto& [start, each] : ordered) {
      uint64_t count = each->number("extent_count").value_or(0);
      if (start != at || count == 0 || count > kMaxExtents)
        refuse("its description has segments that overlap or leave gaps");
      at += count;
      if (at > kMaxExtents) refuse("its description has impossible numbers");
      segments.push_back(segment_of(*each, count, depth));
      // The legs of a mirror hold all of it.
      if (segments.back().kind == SegmentKind::linear && ordered.size() > 1 &&
          each->text("type") != "striped" && each->text("type") != "linear")
        throw Error(ErrorCode::unsupported, "it is a mirror of LVM in pieces, which is not read");
    }
    Source source = disks_.add(std::move(segments));
    layers_[name] = source;
    return source;
  }

  uint64_t bytes(uint64_t extents) const {
    uint64_t size = 0;
    if (extents > kMaxExtents || __builtin_mul_overflow(extents, extent_size_, &size))
      refuse("its description has impossible numbers");
    return size;
  }

  Segment segment_of(const LvmSection& section, uint64_t extent_count, size_t depth) {
    std::string type = section.text("type");
    if (type == "striped" || type == "linear") return striped(section, extent_count, depth);
    if (type == "zero" || type == "error")
      return {.kind = SegmentKind::zero, .length = bytes(extent_count)};
    if (type == "raid1" || type == "mirror") return mirrored(section, type, extent_count, depth);
    throw Error(
        ErrorCode::unsupported,
        fmt::format("it is a volume of LVM of the type {}, which is not read", clean_name(type)));
  }

  Segment striped(const LvmSection& section, uint64_t extent_count, size_t depth) {
    auto field = section.fields.find("stripes");
    if (field == section.fields.end() || field->second.empty() || field->second.size() % 2 != 0 ||
        field->second.size() / 2 > kMaxPlaces)
      refuse("its description has a segment without stripes");
    Segment segment;
    segment.length = bytes(extent_count);
    for (size_t i = 0; i < field->second.size(); i += 2) {
      const auto* name = std::get_if<std::string>(&field->second[i]);
      const auto* start = std::get_if<uint64_t>(&field->second[i + 1]);
      if (name == nullptr || start == nullptr)
        refuse("its description has a segment without stripes");
      segment.places.push_back(place_of(*name, *start, depth));
    }
    if (segment.places.size() == 1) return segment;
    segment.kind = SegmentKind::striped;
    segment.chunk_size = section.number("stripe_size").value_or(0);
    constexpr uint64_t kMaxStripe = 1 << 21;
    if (segment.chunk_size == 0 || segment.chunk_size > kMaxStripe ||
        extent_count % segment.places.size() != 0)
      refuse("its description has an impossible stripe size");
    segment.chunk_size *= kSector;
    return segment;
  }

  // An extent of a physical volume, or of a hidden logical one.
  Place place_of(const std::string& name, uint64_t extent, size_t depth) {
    auto physical = physicals_.find(name);
    if (physical == physicals_.end()) return {hidden(name, depth), bytes(extent)};
    if (physical->second.source == kNoSource) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("a part of it is on a physical volume that is not in the point, or "
                              "there twice ({} of the volume group {})",
                              physical->second.device, clean_name(name_)));
    }
    if (extent >= physical->second.extent_count)
      refuse("its description has a segment beyond its physical volume");
    return {physical->second.source, physical->second.begin + bytes(extent)};
  }

  Source hidden(const std::string& name, size_t depth) {
    const LvmSection* all = section_.find("logical_volumes");
    const LvmSection* section = all == nullptr ? nullptr : all->find(name);
    if (section == nullptr) refuse("its description names a volume that is not there");
    return layer_of(name, *section, depth + 1);
  }

  struct Leg {
    Source source = kNoSource;
    uint64_t event_count = 0;
    uint64_t failed = 0;  // bit n: leg n failed, as this leg knows
    bool is_complete = true;
  };

  // One leg of a mirror has everything; of several, the one that was written last.
  Segment mirrored(const LvmSection& section, const std::string& type, uint64_t extent_count,
                   size_t depth) {
    bool is_raid = type == "raid1";
    auto field = section.fields.find(is_raid ? "raids" : "mirrors");
    if (field == section.fields.end() || field->second.size() % 2 != 0 ||
        field->second.size() / 2 > kMaxPlaces)
      refuse("its description has a mirror without legs");
    std::vector<Leg> legs;
    std::string obstacle = "its description has a mirror without legs";
    for (size_t i = 0; i < field->second.size(); i += 2) {
      Leg leg;
      try {
        leg = is_raid ? raid_leg(field->second[i], field->second[i + 1], depth)
                      : mirror_leg(field->second[i], depth);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        obstacle = error.message();
      }
      legs.push_back(leg);
    }
    const Leg* best = nullptr;
    for (size_t i = 0; i < legs.size(); ++i) {
      const Leg& leg = legs[i];
      if (leg.source == kNoSource || !leg.is_complete) continue;
      bool is_failed = std::any_of(legs.begin(), legs.end(), [&](const Leg& each) {
        return each.event_count >= leg.event_count && (each.failed >> i & 1) != 0;
      });
      if (!is_failed && (best == nullptr || leg.event_count > best->event_count)) best = &leg;
    }
    if (best == nullptr) throw Error(ErrorCode::unsupported, obstacle);
    return {.length = bytes(extent_count), .places = {{best->source, 0}}};
  }

  Leg mirror_leg(const LvmScalar& image, size_t depth) {
    const auto* name = std::get_if<std::string>(&image);
    if (name == nullptr) refuse("its description has a mirror without legs");
    return {hidden(*name, depth)};
  }

  // Superblock of dm-raid: "DmRd", features, members, position; events, failed members, and how far
  // the copy of this one has got.
  Leg raid_leg(const LvmScalar& metadata, const LvmScalar& image, size_t depth) {
    const auto* image_name = std::get_if<std::string>(&image);
    const auto* metadata_name = std::get_if<std::string>(&metadata);
    if (image_name == nullptr || metadata_name == nullptr)
      refuse("its description has a mirror without legs");
    Leg leg{hidden(*image_name, depth)};
    base::Bytes block = disks_.read(hidden(*metadata_name, depth), 0, kSector);
    if (block.empty() || base::as_text(block).substr(0, 4) != "DmRd") return leg;
    leg.event_count = base::load_u64(block.data() + 16);
    leg.failed = base::load_u64(block.data() + 24);
    leg.is_complete = base::load_u64(block.data() + 32) == ~uint64_t{0};
    return leg;
  }

  LayeredDisks& disks_;
  const std::string name_;
  const LvmSection& section_;
  uint64_t extent_size_ = 0;
  size_t attempt_count_ = 0;
  std::map<std::string, Physical> physicals_;
  std::vector<Source> present_;
  std::map<std::string, Source> layers_;
};

}  // namespace

std::optional<PhysicalVolume> read_physical_volume(const LayeredDisks& disks, const Block& block) {
  base::Bytes start = disks.read(block.source, 0, kLabelSectors * kSector);
  if (start.empty()) return std::nullopt;
  for (size_t i = 0; i < kLabelSectors; ++i) {
    base::ByteView sector = base::ByteView(start).subspan(i * kSector, kSector);
    std::string_view text = base::as_text(sector);
    if (text.substr(0, 8) != "LABELONE" || text.substr(24, 8) != "LVM2 001" ||
        base::load_u64(sector.data() + 8) != i)
      continue;
    if (lvm_crc(sector.subspan(20)) != base::load_u32(sector.data() + 16))
      refuse("its label of LVM has a wrong checksum");
    uint32_t begin = base::load_u32(sector.data() + 20);
    if (begin < 32 || begin >= kSector) refuse("its label of LVM contradicts itself");
    base::ByteReader header(sector.subspan(begin), "its label of LVM");
    PhysicalVolume volume{block, std::string(base::as_text(header.view(kIdSize))), ""};
    header.u64();  // the size of the device
    uint64_t newest = 0;
    std::string obstacle;
    for (const MetadataArea& area : areas_in(header)) {
      try {
        std::string found = text_in(disks, block.source, area);
        uint64_t newness = found.empty() ? 0 : newness_of(found);
        if (newness < newest || found.empty()) continue;
        newest = newness;
        volume.text = std::move(found);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        obstacle = error.message();
      }
    }
    if (volume.text.empty() && !obstacle.empty()) refuse(obstacle);
    return volume;
  }
  return std::nullopt;
}

LogicalVolumes assemble_groups(LayeredDisks& disks, const std::vector<PhysicalVolume>& volumes) {
  struct Newest {
    uint64_t newness = 0;
    std::string name;
    LvmSection section;
  };
  std::map<std::string, Newest> groups;  // by id
  for (const PhysicalVolume& each : volumes) {
    if (each.text.empty()) continue;
    LvmSection root = parse_lvm_text(each.text);
    if (root.sections.empty()) continue;
    auto& [name, section] = root.sections.front();
    Newest& newest = groups[section.text("id")];
    uint64_t newness = section.number("seqno").value_or(0);
    if (!newest.name.empty() && newness <= newest.newness) continue;
    newest = {newness, name, std::move(section)};
  }
  LogicalVolumes found;
  for (const auto& [id, newest] : groups) {
    try {
      Group(disks, volumes, newest.name, newest.section).assemble(found);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      found.unread.push_back({.name = clean_name(newest.name), .why = error.message()});
    }
  }
  return found;
}

}  // namespace images::volumes
