// Each block is looked at once: a member of an array, an encrypted volume, a physical volume, or
// none of these. What an encrypted volume holds is a block again. When no block is left, arrays
// whose members were found are assembled, and then volume groups; both make new blocks. It ends
// because each step uses up blocks, and the number of layers is limited.
#include "images/volumes/keys/volume_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/error.h"
#include "images/volumes/keys/bitlocker.h"
#include "images/volumes/keys/luks.h"
#include "images/volumes/lvm.h"
#include "images/volumes/raid.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxFound = 512;  // of volumes, and of unread ones

class Search {
 public:
  Search(const std::vector<DiskSource*>& disks, const Question& question)
      : disks_(disks), question_(question) {
    for (const Part& part : question.parts) {
      if (part.size == 0) continue;
      Step step;
      step.block = {part.name, disks_.add_linear(part.disk, part.offset, part.size)};
      step.part = part.name;
      waiting_.push_back(std::move(step));
    }
  }

  FoundVolumes run() {
    while (true) {
      while (!waiting_.empty()) {
        Step step = std::move(waiting_.front());
        waiting_.pop_front();
        attempt(step.block.name, [&] { look_at(step); });
      }
      if (!assemble_arrays() && !assemble_all_groups()) break;
    }
    found_.map = disks_.take();
    return std::move(found_);
  }

 private:
  struct Step {
    Block block;
    std::string part;    // the partition, if it is one
    std::string origin;  // what it lies on, if it is not
    bool is_partitioned = false;
  };

  template <typename Action>
  void attempt(const std::string& name, Action action) {
    try {
      action();
    } catch (const Error& error) {
      bool needs_key = error.code() == ErrorCode::unauthorized;
      if (found_.unread.size() < kMaxFound)
        found_.unread.push_back({name, error.message(), needs_key});
    }
  }

  void use(const Step& step) {
    if (!step.part.empty()) found_.used.push_back(step.part);
  }

  static std::string origin_of(const Step& step) {
    return step.part.empty() ? step.origin : step.part;
  }

  void look_at(const Step& step) {
    const Block& block = step.block;
    if (auto member = read_raid_member(disks_, block)) {
      use(step);
      arrays_[member->array_id].members.push_back(*member);
      arrays_[member->array_id].origins.push_back(origin_of(step));
    } else if (is_luks(disks_, block)) {
      use(step);
      open(step, "LUKS", ":luks", open_luks(disks_, block, question_.keys));
    } else if (is_bitlocker(disks_, block)) {
      use(step);
      open(step, "BitLocker", ":bitlocker", open_bitlocker(disks_, block, question_.keys));
    } else if (step.part.empty() || may_be_physical(block)) {
      look_for_lvm(step);
    }
  }

  // The first sectors have a label. A damaged one throws later, so that it is reported.
  bool may_be_physical(const Block& block) const {
    base::Bytes start = disks_.read(block.source, 0, 4 * kSector);
    for (size_t at = 0; at + 8 <= start.size(); at += kSector) {
      if (base::as_text(start).substr(at, 8) == "LABELONE") return true;
    }
    return false;
  }

  void open(const Step& step, std::string_view kind, std::string_view ending, Source source) {
    Step inner;
    inner.block = {step.block.name + std::string(ending), source};
    inner.origin = fmt::format("{} on {}", kind, origin_of(step));
    waiting_.push_back(std::move(inner));
  }

  void look_for_lvm(const Step& step) {
    if (auto volume = read_physical_volume(disks_, step.block)) {
      use(step);
      physical_.push_back(*volume);
      physical_origins_[step.block.source] = origin_of(step);
      are_groups_new_ = true;
    } else if (step.part.empty() && found_.volumes.size() < kMaxFound) {
      found_.volumes.push_back(
          {step.block.name, step.origin, step.block.source, step.is_partitioned});
    }
  }

  // Arrays that have not been tried since a member was found. Whether there is something new.
  bool assemble_arrays() {
    bool is_new = false;
    for (auto& [id, array] : arrays_) {
      if (array.is_tried) continue;
      array.is_tried = true;
      const RaidMember& first = array.members.front();
      attempt(first.array_name, [&] {
        Step step;
        step.block = assemble_array(disks_, array.members);
        step.origin = fmt::format("RAID on {}", fmt::join(array.origins, ", "));
        step.is_partitioned = true;
        if (array.members.size() < first.member_count && found_.notes.size() < kMaxFound) {
          found_.notes.push_back(fmt::format("Of the array {} the point has {} of {} members.",
                                             first.array_name, array.members.size(),
                                             first.member_count));
        }
        waiting_.push_back(std::move(step));
        is_new = true;
      });
    }
    return is_new;
  }

  // All at once: a group may lie on several physical volumes. Only physical volumes that were found
  // since the last time make it run again, for what is new.
  bool assemble_all_groups() {
    if (!are_groups_new_) return false;
    are_groups_new_ = false;
    LogicalVolumes volumes = assemble_groups(disks_, physical_);
    for (const LogicalVolume& each : volumes.volumes) {
      if (!known_volumes_.insert(each.block.name).second) continue;
      std::set<std::string> origins;
      for (Source source : each.group) origins.insert(physical_origins_[source]);
      Step step;
      step.block = each.block;
      step.origin = fmt::format("LVM on {}", fmt::join(origins, ", "));
      waiting_.push_back(std::move(step));
    }
    for (Unread& each : volumes.unread) {
      bool is_known = std::any_of(found_.unread.begin(), found_.unread.end(),
                                  [&](const Unread& old) { return old.name == each.name; });
      if (!is_known && found_.unread.size() < kMaxFound) found_.unread.push_back(std::move(each));
    }
    return !waiting_.empty();
  }

  struct Array {
    std::vector<RaidMember> members;
    std::vector<std::string> origins;
    bool is_tried = false;
  };

  LayeredDisks disks_;
  const Question& question_;
  std::deque<Step> waiting_;
  std::map<std::array<uint8_t, 16>, Array> arrays_;
  std::vector<PhysicalVolume> physical_;
  std::map<Source, std::string> physical_origins_;
  std::set<std::string> known_volumes_;
  bool are_groups_new_ = false;
  FoundVolumes found_;
};

void check_parts(const Question& question) {
  for (const Part& part : question.parts) {
    bool fits = part.disk < question.disk_sizes.size() &&
                part.size <= question.disk_sizes[part.disk] &&
                part.offset <= question.disk_sizes[part.disk] - part.size;
    if (!fits)
      throw Error(ErrorCode::corrupt,
                  fmt::format("the partition {} is beyond its disk", part.name));
  }
}

}  // namespace

FoundVolumes find_volumes(const std::vector<DiskSource*>& disks, const Question& question) {
  check_parts(question);
  return Search(disks, question).run();
}

namespace {

constexpr uint32_t kQuestionMagic = 0x514c564d, kFoundMagic = 0x464c564d;  // "MVLQ", "MVLF"
constexpr uint32_t kMaxText = 1000;

uint32_t count_in(base::ByteReader& from, size_t limit) {
  uint32_t count = from.u32();
  if (count > limit) from.fail("too many entries");
  return count;
}

void put_texts(const std::vector<std::string>& texts, base::ByteWriter& to) {
  to.u32(static_cast<uint32_t>(texts.size()));
  for (const std::string& each : texts) to.string(each);
}

std::vector<std::string> texts_in(base::ByteReader& from) {
  std::vector<std::string> texts;
  uint32_t count = count_in(from, kMaxFound);
  for (uint32_t i = 0; i < count; ++i) texts.push_back(from.string(kMaxText));
  return texts;
}

}  // namespace

base::Bytes pack_question(const Question& question) {
  base::ByteWriter to;
  to.u32(kQuestionMagic);
  to.u32(static_cast<uint32_t>(question.disk_sizes.size()));
  for (uint64_t size : question.disk_sizes) to.u64(size);
  to.u32(static_cast<uint32_t>(question.parts.size()));
  for (const Part& part : question.parts) {
    to.string(part.name);
    to.u32(part.disk);
    to.u64(part.offset);
    to.u64(part.size);
  }
  to.u32(static_cast<uint32_t>(question.keys.size()));
  for (const VolumeKey& key : question.keys) {
    to.string(key.name);
    to.string(base::as_text(key.secret));
  }
  return to.take();
}

Question unpack_question(base::ByteView bytes) {
  base::ByteReader from(bytes, "the question about volumes");
  if (from.u32() != kQuestionMagic) from.fail("it is none");
  Question question;
  uint32_t count = count_in(from, kMaxDisks);
  for (uint32_t i = 0; i < count; ++i) question.disk_sizes.push_back(from.u64());
  count = count_in(from, kMaxParts);
  for (uint32_t i = 0; i < count; ++i) {
    Part part;
    part.name = from.string(kMaxText);
    part.disk = from.u32();
    part.offset = from.u64();
    part.size = from.u64();
    question.parts.push_back(std::move(part));
  }
  count = count_in(from, kMaxKeys);
  for (uint32_t i = 0; i < count; ++i) {
    VolumeKey key;
    key.name = from.string(kMaxText);
    std::string secret = from.string(kMaxSecret);
    key.secret.assign(secret.begin(), secret.end());
    question.keys.push_back(std::move(key));
  }
  from.expect_end();
  return question;
}

base::Bytes pack_found(const FoundVolumes& found) {
  base::ByteWriter to;
  to.u32(kFoundMagic);
  pack_map(found.map, to);
  to.u32(static_cast<uint32_t>(found.volumes.size()));
  for (const FoundVolume& each : found.volumes) {
    to.string(std::string_view(each.name).substr(0, kMaxText));
    to.string(std::string_view(each.origin).substr(0, kMaxText));
    to.u32(each.source);
    to.u8(each.is_partitioned ? 1 : 0);
  }
  to.u32(static_cast<uint32_t>(found.unread.size()));
  for (const Unread& each : found.unread) {
    to.string(std::string_view(each.name).substr(0, kMaxText));
    to.string(std::string_view(each.why).substr(0, kMaxText));
    to.u8(each.needs_key ? 1 : 0);
  }
  put_texts(found.used, to);
  put_texts(found.notes, to);
  return to.take();
}

FoundVolumes unpack_found(base::ByteView bytes) {
  base::ByteReader from(bytes, "the list of volumes");
  if (from.u32() != kFoundMagic) from.fail("it is none");
  FoundVolumes found;
  found.map = unpack_map(from);
  uint32_t count = count_in(from, kMaxFound);
  for (uint32_t i = 0; i < count; ++i) {
    FoundVolume volume;
    volume.name = from.string(kMaxText);
    volume.origin = from.string(kMaxText);
    volume.source = from.u32();
    volume.is_partitioned = from.u8() != 0;
    if (volume.source >= found.map.disk_sizes.size() + found.map.layers.size())
      from.fail("a volume has no source");
    found.volumes.push_back(std::move(volume));
  }
  count = count_in(from, kMaxFound);
  for (uint32_t i = 0; i < count; ++i) {
    std::string name = from.string(kMaxText), why = from.string(kMaxText);
    found.unread.push_back({name, why, from.u8() != 0});
  }
  found.used = texts_in(from);
  found.notes = texts_in(from);
  from.expect_end();
  return found;
}

}  // namespace images::volumes
