#include "images/files/readers/ext_journal.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"

namespace images::files {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr uint32_t kMagic = 0xc03b3998;
constexpr uint32_t kDescriptor = 1, kCommit = 2, kSuperblock1 = 3, kSuperblock2 = 4, kRevoke = 5;
constexpr uint32_t kWide = 2, kChecksum2 = 8, kChecksum3 = 16, kFastCommit = 32;  // incompat
constexpr uint32_t kEscaped = 1, kSameUuid = 2, kLastTag = 8;
constexpr uint64_t kMaxBlocks = 16'000'000;
constexpr size_t kHeader = 12;  // bytes of each block of the journal's own

uint16_t big16(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
uint32_t big32(ByteView bytes, size_t at) {
  return static_cast<uint32_t>(big16(bytes, at)) << 16 | big16(bytes, at + 2);
}

struct Tag {
  uint64_t block = 0;
  bool is_escaped = false;
};

class Journal {
 public:
  Journal(FileContent& file, uint64_t block_size) : file_(file), block_size_(block_size) {
    Bytes head = read(0);
    uint32_t kind = big32(head, 4);
    if (big32(head, 0) != kMagic || (kind != kSuperblock1 && kind != kSuperblock2))
      throw Error(ErrorCode::corrupt, "the journal is damaged");
    if (kind == kSuperblock2) features_ = big32(head, 40);
    block_count_ = big32(head, 16);
    first_ = big32(head, 20);
    sequence_ = big32(head, 24);
    start_ = big32(head, 28);
    uint32_t fast_count = 0;
    if ((features_ & kFastCommit) != 0) {
      fast_count = big32(head, 84) != 0 ? big32(head, 84) : 256;
      fast_count = std::min(fast_count, block_count_);
    }
    end_ = block_count_ - fast_count;
    bool fits = big32(head, 12) == block_size && block_count_ <= kMaxBlocks &&
                block_count_ <= file.size() / block_size && first_ >= 1 && first_ < end_ &&
                (start_ == 0 || (start_ >= first_ && start_ < end_));
    if (!fits) throw Error(ErrorCode::corrupt, "the journal is damaged");
  }

  bool is_empty() const { return start_ == 0; }

  // Goes through the transactions that are complete, in order. `on_tag` gets each block's tag and
  // where its copy is in the journal, `on_revoke` each revoked block; both may be empty.
  void go(const std::function<void(uint32_t sequence, const Tag&, uint32_t place)>& on_tag,
          const std::function<void(uint32_t sequence, uint64_t block)>& on_revoke) {
    uint32_t last = complete_end_ ? *complete_end_ : UINT32_MAX, sequence = sequence_, at = start_;
    for (uint64_t steps = 0; steps < block_count_ && sequence != last; ++steps) {
      Bytes block = read(at);
      if (big32(block, 0) != kMagic || big32(block, 8) != sequence) break;
      uint32_t kind = big32(block, 4);
      at = after(at);
      if (kind == kCommit) {
        ++sequence;
      } else if (kind == kRevoke) {
        if (on_revoke) each_revoked(block, [&](uint64_t revoked) { on_revoke(sequence, revoked); });
      } else if (kind == kDescriptor) {
        for (const Tag& tag : tags_of(block)) {
          if (on_tag) on_tag(sequence, tag, at);
          at = after(at);
          if (++steps >= block_count_) break;
        }
      } else {
        break;
      }
    }
    if (!complete_end_) complete_end_ = sequence;
  }

  // Whether there are fast commits after the last complete transaction.
  bool has_fast_commits() {
    if ((features_ & kFastCommit) == 0 || end_ >= block_count_) return false;
    Bytes block = read(end_);
    constexpr uint16_t kHead = 9;
    uint16_t kind = static_cast<uint16_t>(block[0] | block[1] << 8);
    uint32_t transaction = base::load_u32(block.data() + 8);
    return kind == kHead && transaction == complete_end_.value_or(sequence_);
  }

 private:
  Bytes read(uint32_t block) {
    Bytes bytes(block_size_);
    if ((block + uint64_t{1}) * block_size_ > file_.size())
      throw Error(ErrorCode::corrupt, "the journal is shorter than it says");
    file_.read(block * block_size_, bytes);
    return bytes;
  }
  uint32_t after(uint32_t block) const { return block + 1 >= end_ ? first_ : block + 1; }

  std::vector<Tag> tags_of(const Bytes& block) const {
    bool is_wide = (features_ & kWide) != 0;
    size_t size = (features_ & kChecksum3) != 0   ? 16
                  : (features_ & kChecksum2) != 0 ? (is_wide ? 14 : 10)
                                                  : (is_wide ? 12 : 8);
    size_t tail = (features_ & (kChecksum2 | kChecksum3)) != 0 ? 4 : 0;
    std::vector<Tag> tags;
    for (size_t at = kHeader; at + size <= block.size() - tail;) {
      uint32_t flags = (features_ & kChecksum3) != 0 ? big32(block, at + 4) : big16(block, at + 6);
      Tag tag{big32(block, at), (flags & kEscaped) != 0};
      if (is_wide) tag.block |= static_cast<uint64_t>(big32(block, at + 8)) << 32;
      tags.push_back(tag);
      at += size + ((flags & kSameUuid) == 0 ? 16 : 0);
      if ((flags & kLastTag) != 0) break;
    }
    return tags;
  }

  void each_revoked(const Bytes& block, const std::function<void(uint64_t)>& call) const {
    size_t size = (features_ & kWide) != 0 ? 8 : 4;
    size_t end = std::min<size_t>(big32(block, kHeader), block.size());
    for (size_t at = kHeader + 4; at + size <= end; at += size) {
      uint64_t number = big32(block, at);
      if (size == 8) number = number << 32 | big32(block, at + 4);
      call(number);
    }
  }

  FileContent& file_;
  const uint64_t block_size_;
  uint32_t features_ = 0, block_count_ = 0, first_ = 0, end_ = 0, sequence_ = 0, start_ = 0;
  std::optional<uint32_t> complete_end_;  // the sequence after the last complete transaction
};

}  // namespace

JournalReplay read_journal(FileContent& file, uint64_t block_size,
                           const std::function<uint64_t(uint64_t block)>& place_of) {
  Journal journal(file, block_size);
  JournalReplay replay{.block_size = block_size};
  if (journal.is_empty()) {
    if (journal.has_fast_commits())
      replay.note =
          "Its fast commits are not replayed: changes of the last seconds may be missing.";
    return replay;
  }
  journal.go({}, {});  // finds the last complete transaction
  std::unordered_map<uint64_t, uint32_t> revoked;
  journal.go({}, [&](uint32_t sequence, uint64_t block) {
    auto [found, is_new] = revoked.try_emplace(block, sequence);
    if (!is_new && static_cast<int32_t>(sequence - found->second) > 0) found->second = sequence;
  });
  journal.go(
      [&](uint32_t sequence, const Tag& tag, uint32_t place) {
        auto found = revoked.find(tag.block);
        bool is_revoked =
            found != revoked.end() && static_cast<int32_t>(found->second - sequence) >= 0;
        if (!is_revoked) replay.blocks[tag.block] = {place_of(place), tag.is_escaped};
      },
      {});
  if (journal.has_fast_commits())
    replay.note = "Its fast commits are not replayed: changes of the last seconds may be missing.";
  return replay;
}

void ReplayedDisk::read(uint64_t offset, base::MutableByteView out) {
  constexpr std::array<uint8_t, 4> kMark{0xc0, 0x3b, 0x39, 0x98};
  while (!out.empty()) {
    uint64_t within = offset % replay_.block_size, number = offset / replay_.block_size;
    auto copy = replay_.blocks.find(number);
    if (copy != replay_.blocks.end()) {
      size_t size = std::min<size_t>(out.size(), replay_.block_size - within);
      disk_.read(copy->second.place + within, out.first(size));
      for (size_t i = within; copy->second.is_escaped && i < kMark.size() && i - within < size; ++i)
        out[i - within] = kMark[i];
      offset += size;
      out = out.subspan(size);
      continue;
    }
    uint64_t size = std::min<uint64_t>(out.size(), replay_.block_size - within);
    while (size < out.size() && !replay_.blocks.contains((offset + size) / replay_.block_size))
      size = std::min<uint64_t>(out.size(), size + replay_.block_size);
    disk_.read(offset, out.first(size));
    offset += size;
    out = out.subspan(size);
  }
}

}  // namespace images::files
