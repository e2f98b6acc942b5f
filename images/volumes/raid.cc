#include "images/volumes/raid.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint32_t kMagic = 0xa92b4efc;
constexpr uint64_t kOldSize = 4096, kOldAlignment = 64 << 10;
constexpr uint64_t kHeaderSize = 256;  // of version 1, before the roles of the members
constexpr uint32_t kMaxRoles = 1024;
constexpr uint16_t kHighestRole = 0xff00;  // above: spare, faulty, journal
constexpr uint64_t kComplete = ~uint64_t{0};
constexpr uint64_t kMaxSectors = kMaxChunkedSize / kSector;
// Features of version 1.
constexpr uint32_t kRecoveryOffset = 2, kReshape = 4;

uint32_t folded(uint64_t sum) { return static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32)); }

// ---- version 0.90: words of 32 bits at the end of the member

// Places of its words.
enum OldWord : size_t {
  old_major = 1,
  old_minor = 2,
  old_id = 5,
  old_level = 7,
  old_size = 8,  // KiB of each member
  old_members = 10,
  old_device = 11,
  old_more_id = 13,
  old_sum = 38,
  old_events = 39,
  old_layout = 64,
  old_chunk = 65,
  old_this_disk = 992,
};

std::optional<RaidMember> read_old(const LayeredDisks& disks, const Block& block) {
  uint64_t size = disks.size_of(block.source) / kOldAlignment * kOldAlignment;
  if (size < 2 * kOldAlignment) return std::nullopt;
  base::Bytes bytes = disks.read(block.source, size - kOldAlignment, kOldSize);
  auto word = [&](size_t index) { return base::load_u32(bytes.data() + 4 * index); };
  if (bytes.empty() || word(0) != kMagic || word(old_major) != 0) return std::nullopt;
  uint64_t sum = 0;
  for (size_t i = 0; i < kOldSize / 4; ++i) sum += i == old_sum ? 0 : word(i);
  if (folded(sum) != word(old_sum)) return std::nullopt;
  RaidMember member;
  member.block = block;
  base::store_u32(member.array_id.data(), word(old_id));
  for (size_t i = 0; i < 3; ++i)
    base::store_u32(member.array_id.data() + 4 * (i + 1), word(old_more_id + i));
  member.array_name = fmt::format("md/{}", word(old_device));
  member.level = static_cast<int32_t>(word(old_level));
  member.layout = word(old_layout);
  member.chunk_size = word(old_chunk);
  member.member_count = word(old_members);
  member.data_size = size - kOldAlignment;
  member.used_size = uint64_t{word(old_size)} * 1024;
  member.event_count = word(old_events) | uint64_t{word(old_events + 1)} << 32;
  member.is_reshaped = word(old_minor) > 90;
  // This member's own entry: number, device, device, place, state (bit 0: faulty, 1: active, 2: in
  // step).
  uint32_t place = word(old_this_disk + 3), state = word(old_this_disk + 4);
  bool is_used = (state & 7) == 6 && place < member.member_count;
  if (is_used || member.level < 1) member.place = place;
  return member;
}

// ---- version 1

// `version` is 0, 1 or 2, by which the superblock is at the end, at the beginning, or 4 KiB in.
std::optional<RaidMember> read_new(const LayeredDisks& disks, const Block& block, int version) {
  uint64_t sectors = disks.size_of(block.source) / kSector;
  if (sectors < 64) return std::nullopt;
  uint64_t at = version == 0 ? (sectors - 16) / 8 * 8 : version == 1 ? 0 : 8;
  base::Bytes bytes = disks.read(block.source, at * kSector, kHeaderSize);
  if (bytes.empty()) return std::nullopt;
  auto u16 = [&](size_t from) { return uint32_t{bytes[from]} | uint32_t{bytes[from + 1]} << 8; };
  auto u32 = [&](size_t from) { return base::load_u32(bytes.data() + from); };
  auto u64 = [&](size_t from) { return base::load_u64(bytes.data() + from); };
  if (u32(0) != kMagic || u32(4) != 1 || u64(144) != at) return std::nullopt;
  uint32_t role_count = u32(220), number = u32(160), features = u32(8);
  if (role_count > kMaxRoles || number >= role_count) return std::nullopt;
  bytes = disks.read(block.source, at * kSector, kHeaderSize + 2ull * role_count);
  if (bytes.empty()) return std::nullopt;
  uint64_t sum = 0;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) sum += i == 216 ? 0 : u32(i);
  if (bytes.size() % 4 == 2) sum += u16(bytes.size() - 2);
  if (folded(sum) != u32(216)) return std::nullopt;
  RaidMember member;
  member.block = block;
  std::copy_n(bytes.begin() + 16, member.array_id.size(), member.array_id.begin());
  // "host:0", or any name.
  std::string_view name = base::as_text(bytes).substr(32, 32);
  name = name.substr(0, name.find('\0'));
  if (size_t colon = name.find(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  member.array_name = clean_name("md/" + std::string(name));
  member.level = static_cast<int32_t>(u32(72));
  member.layout = u32(76);
  uint64_t chunk = u32(88), begin = u64(128), size = u64(136), used = u64(80);
  if (begin > kMaxSectors || size > kMaxSectors || used > kMaxSectors) return std::nullopt;
  member.chunk_size = chunk * kSector;
  member.member_count = u32(92);
  member.data_offset = begin * kSector;
  member.data_size = size * kSector;
  member.used_size = used * kSector;
  member.event_count = u64(200);
  member.is_reshaped = (features & kReshape) != 0;
  member.is_rebuilt = (features & kRecoveryOffset) == 0 || u64(152) == kComplete;
  uint32_t role = u16(kHeaderSize + size_t{2} * number);
  if (role < kHighestRole && role < member.member_count) member.place = role;
  return member;
}

// ---- arrays

class Array {
 public:
  Array(LayeredDisks& disks, const std::vector<RaidMember>& members)
      : disks_(disks), newest_(newest_of(members)) {
    if (newest_.is_reshaped)
      throw Error(ErrorCode::unsupported, "the array was being given another shape");
    if (newest_.member_count == 0 || newest_.member_count > kMaxPlaces)
      throw Error(ErrorCode::unsupported, fmt::format("it is an array of {} members, which is not "
                                                      "read",
                                                      newest_.member_count));
    places_.resize(newest_.member_count);
    for (const RaidMember& each : members) {
      // The kernel, too, starts an array with members that lag behind by one event.
      bool is_fresh = each.event_count + 1 >= newest_.event_count || newest_.level < 1;
      if (!each.place || *each.place >= places_.size() || !each.is_rebuilt || !is_fresh) continue;
      if (each.level != newest_.level || each.layout != newest_.layout ||
          each.chunk_size != newest_.chunk_size)
        throw Error(ErrorCode::corrupt, "the members of the array contradict each other");
      const RaidMember*& place = places_[*each.place];
      if (place != nullptr && place->event_count == each.event_count)
        throw Error(ErrorCode::unsupported,
                    fmt::format("{} and {} claim to be the same member of the array",
                                place->block.name, each.block.name));
      if (place == nullptr || place->event_count < each.event_count) place = &each;
    }
  }

  Source assemble() {
    switch (newest_.level) {
      case -1: return linear();
      case 0: return striped();
      case 1: return mirrored();
      case 4:
      case 5:
      case 6: return with_parity();
      case 10: return striped_mirrors();
      default:
        throw Error(
            ErrorCode::unsupported,
            fmt::format("it is an array of the level {}, which is not read", newest_.level));
    }
  }

 private:
  static const RaidMember& newest_of(const std::vector<RaidMember>& members) {
    return *std::max_element(
        members.begin(), members.end(),
        [](const RaidMember& a, const RaidMember& b) { return a.event_count < b.event_count; });
  }

  size_t present_count() const {
    return places_.size() -
           static_cast<size_t>(std::count(places_.begin(), places_.end(), nullptr));
  }

  [[noreturn]] void too_few() const {
    throw Error(ErrorCode::unsupported,
                fmt::format("too few members of the array are in the point, and up to date: {} of "
                            "{}",
                            present_count(), places_.size()));
  }

  void expect_all() const {
    if (present_count() != places_.size()) too_few();
  }

  Place place_of(size_t index) const {
    const RaidMember* member = places_[index];
    return member == nullptr ? Place{} : Place{member->block.source, member->data_offset};
  }

  // What the array uses of each member, in whole chunks.
  uint64_t used_size() const {
    uint64_t size = newest_.used_size != 0 ? newest_.used_size : newest_.data_size;
    return newest_.chunk_size == 0 ? size : size / newest_.chunk_size * newest_.chunk_size;
  }

  Source linear() {
    expect_all();
    std::vector<Segment> segments;
    for (size_t i = 0; i < places_.size(); ++i) {
      uint64_t size = places_[i]->data_size;
      if (newest_.chunk_size != 0) size = size / newest_.chunk_size * newest_.chunk_size;
      segments.push_back({.length = size, .places = {place_of(i)}});
    }
    return disks_.add(std::move(segments));
  }

  Segment chunked(SegmentKind kind, uint64_t data_count) const {
    if (newest_.chunk_size == 0 || used_size() > kMaxChunkedSize)
      throw Error(ErrorCode::corrupt, "the array has an impossible size");
    return {.kind = kind, .length = used_size() * data_count, .chunk_size = newest_.chunk_size};
  }

  Source striped() {
    expect_all();
    uint64_t size = 0;
    for (const RaidMember* each : places_) {
      uint64_t own = each->data_size / std::max<uint64_t>(each->chunk_size, 1) * each->chunk_size;
      if (size != 0 && own != size)
        throw Error(ErrorCode::unsupported,
                    "it is a RAID 0 of members of different sizes, which is not read");
      size = own;
    }
    Segment segment = chunked(SegmentKind::striped, places_.size());
    segment.length = size * places_.size();
    for (size_t i = 0; i < places_.size(); ++i) segment.places.push_back(place_of(i));
    return disks_.add({segment});
  }

  // The one that was written last has everything.
  Source mirrored() {
    const RaidMember* best = nullptr;
    for (const RaidMember* each : places_) {
      if (each != nullptr && (best == nullptr || each->event_count > best->event_count))
        best = each;
    }
    if (best == nullptr) too_few();
    uint64_t size = newest_.used_size != 0 ? newest_.used_size : best->data_size;
    return disks_.add_linear(best->block.source, best->data_offset, size);
  }

  Source with_parity() {
    uint8_t parity_count = newest_.level == 6 ? 2 : 1;
    if (places_.size() <= parity_count) too_few();
    if (present_count() + 1 < places_.size()) {
      if (newest_.level == 6 && present_count() + 2 == places_.size())
        throw Error(ErrorCode::unsupported,
                    "two members of a RAID 6 are missing: it would start, and is not read");
      too_few();
    }
    Segment segment = chunked(SegmentKind::parity, places_.size() - parity_count);
    segment.parity_count = parity_count;
    bool is_known = newest_.level == 6 ? newest_.layout == 2 : newest_.layout <= 3;
    if (newest_.level == 4) {
      segment.layout = ParityLayout::last;
    } else if (is_known) {
      segment.layout = static_cast<ParityLayout>(newest_.layout);
    } else {
      throw Error(ErrorCode::unsupported,
                  fmt::format("it is a RAID {} of the layout {}, which is not read", newest_.level,
                              newest_.layout));
    }
    for (size_t i = 0; i < places_.size(); ++i) segment.places.push_back(place_of(i));
    return disks_.add({segment});
  }

  // Near copies in groups of neighbours: a RAID 0 over one member of each group.
  Source striped_mirrors() {
    uint32_t near = newest_.layout & 0xff, far = newest_.layout >> 8 & 0xff;
    if (near == 0 || far != 1 || newest_.layout >> 16 != 0 || places_.size() % near != 0)
      throw Error(
          ErrorCode::unsupported,
          fmt::format("it is a RAID 10 of the layout {:#x} on {} members, which is not read",
                      newest_.layout, places_.size()));
    Segment segment = chunked(SegmentKind::striped, places_.size() / near);
    for (size_t group = 0; group < places_.size(); group += near) {
      const RaidMember* best = nullptr;
      for (size_t i = group; i < group + near; ++i) {
        if (places_[i] != nullptr &&
            (best == nullptr || places_[i]->event_count > best->event_count))
          best = places_[i];
      }
      if (best == nullptr) too_few();
      segment.places.push_back({best->block.source, best->data_offset});
    }
    return disks_.add({segment});
  }

  LayeredDisks& disks_;
  const RaidMember& newest_;
  std::vector<const RaidMember*> places_;  // null: missing
};

}  // namespace

std::optional<RaidMember> read_raid_member(const LayeredDisks& disks, const Block& block) {
  for (int version : {1, 2, 0}) {
    if (auto member = read_new(disks, block, version)) return member;
  }
  return read_old(disks, block);
}

Block assemble_array(LayeredDisks& disks, const std::vector<RaidMember>& members) {
  return {members.front().array_name, Array(disks, members).assemble()};
}

}  // namespace images::volumes
