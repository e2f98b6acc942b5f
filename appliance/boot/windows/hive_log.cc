#include "appliance/boot/windows/hive_log.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "base/error.h"

namespace appliance::boot::windows {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

// Places in a base block, which is as long as a page.
constexpr size_t kPrimary = 4, kSecondary = 8, kType = 28, kBinsSize = 40, kChecksum = 508;
constexpr size_t kBaseBlock = 4096;
constexpr uint32_t kNewLog = 6;
// A log begins with the first sector of a base block. An entry: "HvLE", size, flags, sequence
// number, size of the hive's bins, number of pages, checksum of what follows byte 40, checksum of
// the first 32 bytes; then place and size of each page; then the pages.
constexpr size_t kSector = 512;
constexpr size_t kEntryHead = 40, kEntryHeadSummed = 32, kPageReference = 8;
constexpr uint32_t kMaxPages = 16384;
constexpr size_t kMaxEntries = 65536;

struct Page {
  uint32_t offset = 0;  // in the hive's bins
  ByteView bytes;
};

struct Entry {
  uint32_t bins_size = 0;
  std::vector<Page> pages;
};

void put_u32(Bytes& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

bool has_base_block(ByteView bytes) {
  return bytes.size() >= kSector && std::memcmp(bytes.data(), "regf", 4) == 0 &&
         base::load_u32(bytes.data() + kChecksum) == base_block_checksum(bytes);
}

// The entry that begins at `at`; none if it is not whole. `number` is its sequence number, `size`
// how long it is.
bool read_entry(ByteView log, size_t at, Entry& entry, uint32_t& number, size_t& size) {
  if (log.size() - at < kEntryHead || std::memcmp(log.data() + at, "HvLE", 4) != 0) return false;
  ByteReader head(log.subspan(at + 4, kEntryHead - 4), "a log entry");
  size = head.u32();
  head.u32();
  number = head.u32();
  entry.bins_size = head.u32();
  uint32_t count = head.u32();
  uint64_t content_sum = head.u64(), head_sum = head.u64();
  if (size < kSector || size % kSector != 0 || size > log.size() - at) return false;
  if (entry.bins_size % kBaseBlock != 0 || entry.bins_size > kMaxHiveSize - kBaseBlock)
    return false;
  if (count > kMaxPages || count * kPageReference > size - kEntryHead) return false;
  ByteView whole = log.subspan(at, size);
  if (marvin32(kLogSeed, whole.first(kEntryHeadSummed)) != head_sum ||
      marvin32(kLogSeed, whole.subspan(kEntryHead)) != content_sum)
    return false;
  ByteReader places(whole.subspan(kEntryHead, count * kPageReference), "a log entry");
  size_t data = kEntryHead + count * kPageReference;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t offset = places.u32(), length = places.u32();
    if (length > size - data || offset > entry.bins_size || length > entry.bins_size - offset)
      return false;
    entry.pages.push_back({offset, whole.subspan(data, length)});
    data += length;
  }
  return true;
}

// By sequence number.
using Entries = std::map<uint32_t, Entry>;

// The entries of one log up to the first that is not whole or not the next.
void read_log(ByteView log, Entries& entries) {
  if (!has_base_block(log) || base::load_u32(log.data() + kType) != kNewLog) return;
  uint32_t last = 0;
  for (size_t at = kSector; at < log.size() && entries.size() < kMaxEntries;) {
    Entry entry;
    uint32_t number = 0;
    size_t size = 0;
    if (!read_entry(log, at, entry, number, size)) return;
    if (at != kSector && number != last + 1) return;
    last = number;
    entries.emplace(number, std::move(entry));
    at += size;
  }
}

bool is_old_log(ByteView log) {
  return has_base_block(log) && base::load_u32(log.data() + kType) != kNewLog;
}

[[noreturn]] void throw_unreplayable(const std::vector<Bytes>& logs) {
  bool is_old =
      std::any_of(logs.begin(), logs.end(), [](const Bytes& log) { return is_old_log(log); });
  throw Error(ErrorCode::unsupported,
              is_old
                  ? "the newest changes of the registry's SYSTEM hive are only in its log, in the "
                    "form before Windows 8.1, which cannot be replayed here: a point taken after "
                    "Windows was shut down can be prepared"
                  : "the newest changes of the registry's SYSTEM hive are only in its log, and its "
                    "logs do not contain them whole: a point taken after Windows was shut down, or "
                    "another point, can be prepared");
}

void apply_entry(const Entry& entry, Bytes& hive) {
  hive.resize(std::max<size_t>(hive.size(), kBaseBlock + entry.bins_size));
  for (const Page& page : entry.pages)
    std::copy(page.bytes.begin(), page.bytes.end(), hive.begin() + kBaseBlock + page.offset);
  put_u32(hive, kBinsSize, entry.bins_size);
}

}  // namespace

uint64_t marvin32(uint64_t seed, ByteView bytes) {
  auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  auto mix = [&](uint32_t block) {
    low += block;
    high ^= low;
    low = std::rotl(low, 20) + high;
    high = std::rotl(high, 9) ^ low;
    low = std::rotl(low, 27) + high;
    high = std::rotl(high, 19);
  };
  size_t at = 0;
  for (; bytes.size() - at >= 4; at += 4) mix(base::load_u32(bytes.data() + at));
  uint32_t rest = 0x80;
  for (size_t i = bytes.size(); i > at; --i) rest = rest << 8 | bytes[i - 1];
  mix(rest);
  mix(0);
  return uint64_t{high} << 32 | low;
}

uint32_t base_block_checksum(ByteView hive) {
  uint32_t sum = 0;
  for (size_t at = 0; at < kChecksum; at += 4) sum ^= base::load_u32(hive.data() + at);
  if (sum == 0) return 1;
  return sum == UINT32_MAX ? UINT32_MAX - 1 : sum;
}

bool is_clean(ByteView hive) {
  if (hive.size() < 2 * kBaseBlock || std::memcmp(hive.data(), "regf", 4) != 0)
    throw Error(ErrorCode::corrupt,
                "the registry's SYSTEM hive is damaged: it does not begin as one");
  return base::load_u32(hive.data() + kPrimary) == base::load_u32(hive.data() + kSecondary);
}

size_t replay_logs(Bytes& hive, const std::vector<Bytes>& logs) {
  if (is_clean(hive)) return 0;
  // With a base block that is half written, nobody can say which entries follow.
  if (!has_base_block(hive)) throw_unreplayable(logs);
  Entries entries;
  for (const Bytes& log : logs) read_log(log, entries);
  auto next = entries.lower_bound(base::load_u32(hive.data() + kPrimary));
  if (next == entries.end()) throw_unreplayable(logs);
  uint32_t number = next->first;
  size_t count = 0;
  for (; next != entries.end() && next->first == number; ++next, ++number, ++count)
    apply_entry(next->second, hive);
  // Higher than any entry that was applied, so that none of them is applied once more.
  put_u32(hive, kPrimary, number);
  put_u32(hive, kSecondary, number);
  put_u32(hive, kChecksum, base_block_checksum(hive));
  return count;
}

}  // namespace appliance::boot::windows
