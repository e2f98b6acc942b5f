// The log is a ring of 512-byte blocks, each of which begins with the number of the round in which it
// was written (in a record's header, that is its second word). So the newest block is found by
// halving: the blocks before it are of this round, those after it of the one before. The newest
// record begins shortly before it. If that says that the file system was closed, or needs nothing
// before itself, nothing is to be replayed.
#include "images/files/readers/xfs_log.h"

#include "base/error.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/values_at.h"

namespace images::files::xfs {
namespace {

using base::Bytes;

constexpr uint64_t kUnit = 512;
constexpr uint32_t kMagic = 0xfeedbabe;
constexpr uint64_t kLongestRecord = (256 << 10) / kUnit + 16;  // blocks
constexpr uint8_t kUnmount = 0x20;
constexpr const char* kDirty =
    "It was in use, and its log is not replayed: what was changed in the last seconds before the "
    "point may be missing or incomplete.";
constexpr const char* kUnknown =
    "Its log cannot be read: whether something is missing is not known.";

class Log {
 public:
  Log(DiskSource& disk, uint64_t begin, uint64_t count)
      : disk_(disk), begin_(begin), count_(count) {}

  Bytes block(uint64_t number) const {
    return read_bytes(disk_, begin_ + number % count_ * kUnit, kUnit, "the log");
  }
  uint32_t round(uint64_t number) const {
    Bytes bytes = block(number);
    return big32(bytes, 0) == kMagic ? big32(bytes, 4) : big32(bytes, 0);
  }
  // After the newest block.
  uint64_t head() const {
    uint32_t first = round(0);
    if (round(count_ - 1) == first) return 0;
    uint64_t low = 0, high = count_ - 1;  // low: of the first's round, high: not
    while (high - low > 1) {
      uint64_t middle = (low + high) / 2;
      (round(middle) == first ? low : high) = middle;
    }
    return high;
  }
  uint64_t count() const { return count_; }

 private:
  DiskSource& disk_;
  const uint64_t begin_, count_;
};

bool is_clean(const Log& log) {
  uint64_t head = log.head();
  for (uint64_t back = 1; back <= std::min(kLongestRecord, log.count()); ++back) {
    uint64_t number = (head + log.count() - back) % log.count();
    Bytes record = log.block(number);
    if (big32(record, 0) != kMagic) continue;
    uint64_t own = big64(record, 16), tail = big64(record, 24);
    if (own == tail) return true;  // it needs nothing before itself
    if (big32(record, 40) != 1) return false;
    return (u8_at(log.block(number + 1), 9) & kUnmount) != 0;
  }
  return false;
}

}  // namespace

std::string log_note(DiskSource& disk, const Superblock& super) {
  if (super.log_start == 0)
    return "Its log is on another disk and is not replayed: what was changed in the last seconds "
           "before the point may be missing.";
  std::optional<uint64_t> begin = super.place_of_block(super.log_start);
  uint64_t count = (static_cast<uint64_t>(super.log_blocks) << super.block_log) / kUnit;
  if (!begin || count < 2) return kUnknown;
  try {
    return is_clean(Log(disk, *begin, count)) ? "" : kDirty;
  } catch (const base::Error&) {
    return kUnknown;
  }
}

}  // namespace images::files::xfs
