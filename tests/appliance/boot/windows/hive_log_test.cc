#include "appliance/boot/windows/hive_log.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;
using base::ByteWriter;

constexpr size_t kPage = 4096;

void put(Bytes& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

void put_base_block(Bytes& bytes, uint32_t primary, uint32_t secondary, uint32_t type) {
  std::memcpy(bytes.data(), "regf", 4);
  put(bytes, 4, primary);
  put(bytes, 8, secondary);
  put(bytes, 28, type);
  put(bytes, 40, kPage);
  put(bytes, 508, base_block_checksum(bytes));
}

Bytes hive(uint32_t primary, uint32_t secondary) {
  Bytes bytes(2 * kPage);
  put_base_block(bytes, primary, secondary, 0);
  return bytes;
}

// An entry that writes `fill` into a page of 512 bytes at `offset` of the bins.
Bytes entry(uint32_t number, uint32_t bins_size, uint32_t offset, uint8_t fill) {
  ByteWriter rest;
  rest.u32(offset);
  rest.u32(512);
  rest.view(Bytes(512, fill));
  Bytes content = rest.take();
  content.resize(1024 - 40);
  ByteWriter head;
  head.view(base::as_bytes("HvLE"));
  head.u32(1024);
  head.u32(0);
  head.u32(number);
  head.u32(bins_size);
  head.u32(1);
  head.u64(marvin32(kLogSeed, content));
  Bytes whole = head.take();
  ByteWriter sum;
  sum.u64(marvin32(kLogSeed, whole));
  whole.insert(whole.end(), sum.bytes().begin(), sum.bytes().end());
  whole.insert(whole.end(), content.begin(), content.end());
  return whole;
}

Bytes log(uint32_t number, std::initializer_list<Bytes> entries, uint32_t type = 6) {
  Bytes bytes(512);
  put_base_block(bytes, number, number, type);
  for (const Bytes& each : entries) bytes.insert(bytes.end(), each.begin(), each.end());
  return bytes;
}

TEST_CASE("marvin32 is what its published vectors say") {
  constexpr uint64_t kSeed = 0x004f'b61a'001b'dbcc;
  CHECK(marvin32(kSeed, {}) == 0x30ed'35c1'00cd'3c7d);
  CHECK(marvin32(kSeed, Bytes{0xaf}) == 0x48e7'3fc7'7d75'ddc1);
  CHECK(marvin32(kSeed, Bytes{0xe7, 0x0f}) == 0xb5f6'e1fc'485d'bff8);
}

TEST_CASE("a clean hive is left alone, whatever its logs say") {
  Bytes bytes = hive(5, 5), before = bytes;
  CHECK(replay_logs(bytes, {log(5, {entry(5, kPage, 0, 1)})}) == 0);
  CHECK(bytes == before);
}

TEST_CASE("entries are applied in order, over both logs, and the hive is clean then") {
  Bytes bytes = hive(7, 6);
  Bytes first = log(6, {entry(6, kPage, 0, 9), entry(7, kPage, 0, 1), entry(8, kPage, 512, 2)});
  Bytes second = log(9, {entry(9, 2 * kPage, kPage, 3), entry(10, 2 * kPage, 0, 4)});
  REQUIRE(replay_logs(bytes, {second, first}) == 4);
  CHECK(is_clean(bytes));
  REQUIRE(bytes.size() == 3 * kPage);
  CHECK(bytes[kPage] == 4);
  CHECK(bytes[kPage + 512] == 2);
  CHECK(bytes[2 * kPage] == 3);
  CHECK(base::load_u32(bytes.data() + 4) == 11);
  CHECK(base::load_u32(bytes.data() + 40) == 2 * kPage);
  CHECK(base::load_u32(bytes.data() + 508) == base_block_checksum(bytes));
}

TEST_CASE("an entry that is torn ends the replay, and what follows it does not count") {
  Bytes torn = entry(8, kPage, 0, 2);
  torn[700] ^= 1;
  Bytes bytes = hive(7, 6);
  CHECK(replay_logs(bytes, {log(7, {entry(7, kPage, 0, 1), torn, entry(9, kPage, 0, 3)})}) == 1);
  CHECK(bytes[kPage] == 1);
  Bytes gap = hive(7, 6);
  CHECK(replay_logs(gap, {log(7, {entry(7, kPage, 0, 1), entry(9, kPage, 0, 3)})}) == 1);
  CHECK(gap[kPage] == 1);
}

TEST_CASE("without whole entries a dirty hive is refused") {
  auto refused = [](Bytes bytes, const std::vector<Bytes>& logs, const char* words) {
    CHECK_THROWS_WITH(replay_logs(bytes, logs), Catch::Contains(words));
  };
  refused(hive(7, 6), {}, "do not contain them");
  refused(hive(7, 6), {Bytes(100), log(5, {entry(5, kPage, 0, 1)})}, "do not contain them");
  refused(hive(7, 6), {log(7, {entry(7, kPage, 0, 1)}, 1)}, "before Windows 8.1");
  Bytes half = hive(7, 6);
  half[508] ^= 1;
  refused(half, {log(7, {entry(7, kPage, 0, 1)})}, "do not contain them");
  refused(Bytes(3), {}, "does not begin as one");
}

TEST_CASE("entries that lead out of the hive are not applied") {
  for (const Bytes& bad : {entry(7, kPage, kPage - 256, 1), entry(7, 0xffff'f000, 0, 1),
                           entry(7, 100, 0, 1), entry(7, kPage, 0xffff'ffff, 1)}) {
    Bytes bytes = hive(7, 6);
    CHECK_THROWS_AS(replay_logs(bytes, {log(7, {bad})}), base::Error);
  }
}

TEST_CASE("no damage of a log leads out of it") {
  Bytes whole = log(7, {entry(7, kPage, 0, 1), entry(8, kPage, 512, 2)});
  for (size_t at = 0; at < whole.size(); at += 3) {
    for (size_t length : {at, whole.size()}) {
      Bytes bytes = hive(7, 6),
            damaged(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
      if (at < damaged.size()) damaged[at] ^= 0xff;
      try {
        size_t count = replay_logs(bytes, {damaged});
        CHECK(count <= 2);
        CHECK(bytes.size() == 2 * kPage);
      } catch (const base::Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace appliance::boot::windows
