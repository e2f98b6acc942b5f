// LVM, RAID, LUKS and BitLocker, read from disks that were made byte by byte, and from damaged ones.
#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <random>

#include "base/error.h"
#include "images/volumes/keys/bitlocker.h"
#include "images/volumes/keys/volume_search.h"
#include "images/volumes/mapped_volume.h"
#include "tests/images/volumes/volume_images.h"

namespace images::volumes {
namespace {

using base::Bytes;
using tests::MemoryDisk;
using tests::pattern;

constexpr size_t kMiB = 1 << 20;

// A set of disks, all of which are looked into.
struct Machine {
  std::vector<std::unique_ptr<MemoryDisk>> disks;
  std::vector<DiskSource*> pointers;
  Question question;
  FoundVolumes found;

  void add(Bytes bytes) {
    disks.push_back(std::make_unique<MemoryDisk>(std::move(bytes)));
    pointers.push_back(disks.back().get());
    auto number = static_cast<uint32_t>(question.disk_sizes.size());
    std::string name = "vd";
    name += static_cast<char>('a' + number);
    question.disk_sizes.push_back(disks.back()->size());
    question.parts.push_back({name, number, 0, disks.back()->size()});
  }
  void look(const std::string& secret = "") {
    question.keys.clear();
    if (!secret.empty()) question.keys.push_back({"k", Bytes(secret.begin(), secret.end())});
    // Through the messages, as the appliance does.
    Question asked = unpack_question(pack_question(question));
    found = unpack_found(pack_found(find_volumes(pointers, asked)));
  }
  Bytes content(const std::string& name) {
    for (const FoundVolume& each : found.volumes) {
      if (each.name != name) continue;
      MappedVolume volume(found.map, pointers, each.source);
      Bytes bytes(volume.size());
      volume.read(0, bytes);
      // In odd pieces it is the same.
      for (uint64_t at = 1; at + 70'001 < bytes.size(); at += 333'337) {
        Bytes piece(70'001);
        volume.read(at, piece);
        REQUIRE(std::equal(piece.begin(), piece.end(), bytes.begin() + static_cast<ptrdiff_t>(at)));
      }
      return bytes;
    }
    return {};
  }
  std::string why(const std::string& name) const {
    for (const Unread& each : found.unread) {
      if (each.name == name) return each.why;
    }
    return "";
  }
};

Bytes part_of(const Bytes& bytes, size_t offset, size_t size) {
  auto begin = bytes.begin() + static_cast<ptrdiff_t>(offset);
  return {begin, begin + static_cast<ptrdiff_t>(size)};
}

const std::string kId1(32, 'A'), kId2(32, 'B');

std::string usual_group(uint32_t seqno, const std::string& logical) {
  return tests::group_text(
      "vg0", seqno, tests::physical_text("pv0", kId1, 7) + tests::physical_text("pv1", kId2, 7),
      logical);
}

bool is_refused(const VolumeMap& map) {
  try {
    validate(map, "the map");
    return false;
  } catch (const base::Error& error) {
    return error.code() == base::ErrorCode::corrupt;
  }
}

}  // namespace

TEST_CASE("a map that cannot be served is refused", "[volumes]") {
  auto map_of = [](Segment segment, uint64_t size) {
    return VolumeMap{{kMiB, kMiB}, {Layer{size, {std::move(segment)}, std::nullopt}}};
  };
  CHECK_FALSE(is_refused(map_of({.length = kMiB, .places = {{0, 0}}}, kMiB)));
  CHECK(is_refused(map_of({.length = kMiB, .places = {{0, 512}}}, kMiB)));
  CHECK(is_refused(map_of({.length = kMiB, .places = {{0, ~uint64_t{0}}}}, kMiB)));
  CHECK(is_refused(map_of({.length = kMiB, .places = {{0, 0}}}, 2 * kMiB)));
  CHECK(is_refused(map_of({.length = kMiB, .places = {{2, 0}}}, kMiB)));  // on itself
  CHECK(is_refused(map_of({.length = kMiB, .places = {{kNoSource, 0}}}, kMiB)));
  CHECK(is_refused(map_of({.length = kMiB, .places = {}}, kMiB)));
  CHECK(is_refused(map_of({.length = 1ull << 60, .places = {{0, 0}}}, 1ull << 60)));
  Segment striped{.kind = SegmentKind::striped,
                  .length = 2 * kMiB,
                  .chunk_size = 4096,
                  .places = {{0, 0}, {1, 0}}};
  CHECK_FALSE(is_refused(map_of(striped, 2 * kMiB)));
  striped.chunk_size = 0;
  CHECK(is_refused(map_of(striped, 2 * kMiB)));
  // Depth: each layer on the one before.
  VolumeMap deep{{kMiB}, {}};
  for (size_t i = 0; i < kMaxDepth; ++i)
    deep.layers.push_back(
        {kMiB, {{.length = kMiB, .places = {{deep.source_of_layer(i) - 1, 0}}}}, {}});
  CHECK_FALSE(is_refused(deep));
  deep.layers.push_back(
      {kMiB, {{.length = kMiB, .places = {{deep.source_of_layer(kMaxDepth) - 1, 0}}}}, {}});
  CHECK(is_refused(deep));
  VolumeMap ciphered = map_of({.length = kMiB, .places = {{0, 0}}}, kMiB);
  ciphered.layers[0].cipher = Cipher{.key = Bytes(31)};
  CHECK(is_refused(ciphered));
}

TEST_CASE("logical volumes are read, linear and striped, from the newest description",
          "[volumes]") {
  Bytes a = pattern(8 * kMiB, 1), b = pattern(8 * kMiB, 2);
  std::string striped =
      "type = \"striped\"\nstripe_count = 2\nstripe_size = 128\nstripes = [\n\"pv0\", 3,\n\"pv1\", "
      "0\n]";
  std::string linear = "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv1\", 3]";
  tests::make_physical_volume(a, kId1, usual_group(4, ""));
  tests::make_physical_volume(b, kId2,
                              usual_group(5, tests::logical_text("root", 3, linear) +
                                                 tests::logical_text("data", 4, striped)));
  Machine machine;
  machine.add(a);
  machine.add(b);
  machine.look();
  CHECK(machine.found.unread.empty());
  CHECK(machine.content("vg0/root") == part_of(b, 4 * kMiB, 3 * kMiB));
  Bytes expected;
  for (size_t chunk = 0; chunk < 64; ++chunk) {
    const Bytes& from = chunk % 2 == 0 ? a : b;
    size_t begin = (chunk % 2 == 0 ? 4 * kMiB : kMiB) + chunk / 2 * 65536;
    Bytes piece = part_of(from, begin, 65536);
    expected.insert(expected.end(), piece.begin(), piece.end());
  }
  CHECK(machine.content("vg0/data") == expected);
  CHECK(machine.found.used == std::vector<std::string>{"vda", "vdb"});

  // The disk with the newest description is not in the point.
  Machine half;
  half.add(b);
  half.look();
  CHECK(half.content("vg0/root") == part_of(b, 4 * kMiB, 3 * kMiB));
  CHECK(half.why("vg0/data").find("not in the point") != std::string::npos);
  // A clone of it is.
  Machine twice;
  twice.add(b);
  twice.add(b);
  twice.look();
  CHECK(twice.found.volumes.empty());
  CHECK(twice.why("vg0/root").find("twice") != std::string::npos);
}

TEST_CASE("of a mirror the leg that was written last is read; other kinds are named", "[volumes]") {
  Bytes a = pattern(8 * kMiB, 1), b = pattern(8 * kMiB, 2);
  auto on = [](const char* pv, int extent) {
    return "type = \"striped\"\nstripe_count = 1\nstripes = [\"" + std::string(pv) + "\", " +
           std::to_string(extent) + "]";
  };
  std::string logical =
      tests::logical_text("m", 2,
                          "type = \"raid1\"\ndevice_count = 2\nraids = [\"m0\", \"i0\", "
                          "\"m1\", \"i1\"]") +
      tests::logical_text("m0", 1, on("pv0", 0), false) +
      tests::logical_text("i0", 2, on("pv0", 1), false) +
      tests::logical_text("m1", 1, on("pv1", 0), false) +
      tests::logical_text("i1", 2, on("pv1", 1), false) +
      tests::logical_text("t", 2, "type = \"thin\"\nthin_pool = \"p\"\ndevice_id = 1") +
      tests::logical_text("circle", 2,
                          "type = \"striped\"\nstripe_count = 1\nstripes = [\"circle\", 0]") +
      tests::logical_text("far", 2, on("pv0", 6)) +
      tests::logical_text("gone", 2, on("nothing", 0));
  tests::make_physical_volume(a, kId1, usual_group(4, logical));
  tests::make_physical_volume(b, kId2, "");
  // Superblocks of dm-raid: the second leg knows of more events, and that the first failed.
  for (auto* leg : {&a, &b}) {
    std::fill_n(leg->begin() + kMiB, 512, uint8_t{0});
    std::copy_n("DmRd", 4, leg->begin() + kMiB);
    base::store_u64(&(*leg)[kMiB + 16], leg == &a ? 5 : 9);
    base::store_u64(&(*leg)[kMiB + 24], leg == &a ? 0 : 1);
    base::store_u64(&(*leg)[kMiB + 32], ~uint64_t{0});
  }
  Machine machine;
  machine.add(a);
  machine.add(b);
  machine.look();
  CHECK(machine.content("vg0/m") == part_of(b, 2 * kMiB, 2 * kMiB));
  CHECK(machine.why("vg0/t").find("type thin, which is not read") != std::string::npos);
  CHECK(machine.why("vg0/circle").find("circles") != std::string::npos);
  CHECK(machine.why("vg0/far").find("beyond") != std::string::npos);
  CHECK(machine.why("vg0/gone").find("not there") != std::string::npos);
}

TEST_CASE("RAID 1 is read from one member, and not from a stale one", "[volumes]") {
  for (int version : {-1, 0, 1, 2}) {
    Bytes fresh = pattern(4 * kMiB, 3), stale = pattern(4 * kMiB, 4);
    tests::RaidShape shape{.used_size = 2 * kMiB, .role = 1};
    auto make = [&](Bytes& disk) {
      if (version < 0) tests::make_old_raid_member(disk, shape);
      else tests::make_raid_member(disk, version, shape);
    };
    make(fresh);
    shape.role = 0;
    shape.event_count = 3;
    make(stale);
    size_t begin = version <= 0 ? 0 : kMiB;
    Machine machine;
    machine.add(stale);
    machine.add(fresh);
    machine.look();
    REQUIRE(machine.found.volumes.size() == 1);
    CHECK(machine.content("md/0") == part_of(fresh, begin, 2 * kMiB));
    Machine degraded;
    degraded.add(fresh);
    degraded.look();
    CHECK(degraded.content("md/0") == part_of(fresh, begin, 2 * kMiB));
    CHECK(degraded.found.notes ==
          std::vector<std::string>{"Of the array md/0 the point has 1 of 2 members."});
  }
}

TEST_CASE("RAID with parity is read with each member missing in turn", "[volumes]") {
  constexpr uint32_t kChunk = 65536;
  constexpr size_t kRows = 12;
  struct Kind {
    int level;
    uint32_t layout;
  };
  for (Kind kind : {Kind{4, 0}, {5, 0}, {5, 1}, {5, 2}, {5, 3}, {6, 2}}) {
    for (uint32_t count : {4u, 5u}) {
      uint32_t parities = kind.level == 6 ? 2 : 1, data = count - parities;
      Bytes content = pattern(size_t{kRows} * data * kChunk, 9);
      std::vector<Bytes> disks(count, Bytes(kMiB + kRows * kChunk));
      // By the words of md(4): the parity goes backwards (left) or forwards (right); data begin
      // after it (symmetric), or at the first disk (asymmetric).
      for (size_t row = 0; row < kRows; ++row) {
        uint32_t step = row % count;
        uint32_t parity = kind.level == 4                           ? count - 1
                          : kind.level == 6 || kind.layout % 2 == 0 ? count - 1 - step
                                                                    : step;
        bool is_symmetric = kind.level == 6 || (kind.level == 5 && kind.layout >= 2);
        std::vector<uint32_t> order;
        for (uint32_t i = 0; i < count; ++i) {
          uint32_t disk = is_symmetric ? (parity + parities + i) % count : i;
          bool is_parity = disk == parity || (parities == 2 && disk == (parity + 1) % count);
          if (!is_parity) order.push_back(disk);
        }
        Bytes sum(kChunk);
        for (size_t i = 0; i < data; ++i) {
          Bytes chunk = part_of(content, (row * data + i) * kChunk, kChunk);
          std::copy(chunk.begin(), chunk.end(),
                    disks[order[i]].begin() + static_cast<ptrdiff_t>(kMiB + row * kChunk));
          for (size_t k = 0; k < kChunk; ++k) sum[k] ^= chunk[k];
        }
        std::copy(sum.begin(), sum.end(),
                  disks[parity].begin() + static_cast<ptrdiff_t>(kMiB + row * kChunk));
      }
      for (uint32_t i = 0; i < count; ++i) {
        tests::make_raid_member(disks[i], 2,
                                {.level = kind.level,
                                 .layout = kind.layout,
                                 .chunk_size = kChunk,
                                 .member_count = count,
                                 .used_size = kRows * kChunk,
                                 .role = i});
      }
      for (uint32_t missing = 0; missing <= count; ++missing) {
        Machine machine;
        for (uint32_t i = 0; i < count; ++i) {
          if (i != missing) machine.add(disks[i]);
        }
        machine.look();
        INFO("level " << kind.level << " layout " << kind.layout << " of " << count << " without "
                      << missing);
        CHECK(machine.content("md/0") == content);
      }
      Machine too_few;
      for (uint32_t i = 0; i + 2 < count; ++i) too_few.add(disks[i]);
      too_few.look();
      CHECK(too_few.found.volumes.empty());
      CHECK_FALSE(too_few.why("md/0").empty());
    }
  }
}

TEST_CASE("RAID 0 and 10 are read in stripes", "[volumes]") {
  constexpr uint32_t kChunk = 4096;
  std::vector<Bytes> disks;
  for (uint32_t i = 0; i < 4; ++i) disks.push_back(pattern(2 * kMiB, 20 + i));
  for (uint32_t i = 0; i < 2; ++i)
    tests::make_raid_member(disks[i], 2, {.level = 0, .chunk_size = kChunk, .role = i});
  Machine striped;
  striped.add(disks[1]);
  striped.add(disks[0]);
  striped.look();
  Bytes content = striped.content("md/0");
  REQUIRE(content.size() == 2 * kMiB);
  CHECK(part_of(content, 0, kChunk) == part_of(disks[0], kMiB, kChunk));
  CHECK(part_of(content, 3 * kChunk, kChunk) == part_of(disks[1], kMiB + kChunk, kChunk));
  Machine half;
  half.add(disks[0]);
  half.look();
  CHECK(half.why("md/0").find("1 of 2") != std::string::npos);

  for (uint32_t i = 0; i < 4; ++i) {
    tests::make_raid_member(disks[i], 2,
                            {.level = 10,
                             .layout = 0x102,
                             .chunk_size = kChunk,
                             .member_count = 4,
                             .used_size = kMiB,
                             .role = i});
  }
  Machine mirrored;  // one member of each pair
  mirrored.add(disks[1]);
  mirrored.add(disks[2]);
  mirrored.look();
  content = mirrored.content("md/0");
  REQUIRE(content.size() == 2 * kMiB);
  CHECK(part_of(content, 2 * kChunk, kChunk) == part_of(disks[1], kMiB + kChunk, kChunk));
  CHECK(part_of(content, kChunk, kChunk) == part_of(disks[2], kMiB, kChunk));
}

TEST_CASE("encrypted volumes are opened with the right key only", "[volumes]") {
  Bytes plain = pattern(2 * kMiB, 30);
  struct Kind {
    Bytes disk;
    const char* name;
  };
  for (const Kind& kind :
       {Kind{tests::luks1(plain, "correct horse"), "LUKS"},
        Kind{tests::luks2(plain, "correct horse"), "LUKS2"},
        Kind{tests::luks2(plain, "correct horse", "aes-xts-plain64", 4096), "LUKS2"},
        Kind{tests::luks2(plain, "correct horse", "aes-cbc-essiv:sha256"), "LUKS2"}}) {
    Machine machine;
    machine.add(kind.disk);
    machine.look("correct horse");
    CHECK(machine.content("vda:luks") == plain);
    machine.look("battery staple");
    CHECK(machine.found.volumes.empty());
    CHECK(machine.why("vda").find("none of the keys") != std::string::npos);
    CHECK(machine.found.unread.at(0).needs_key);
    machine.look();
    CHECK(machine.why("vda").find(std::string("it is encrypted (") + kind.name +
                                  "), and no key was given") == 0);
  }
  // The first copy of the header is lost, except for its first bytes.
  Bytes disk = tests::luks2(plain, "correct horse");
  std::fill_n(disk.begin() + 100, 16000, uint8_t{0});
  Machine second;
  second.add(disk);
  second.look("correct horse");
  CHECK(second.content("vda:luks") == plain);
}

TEST_CASE("a BitLocker volume is opened with its recovery key", "[volumes]") {
  CHECK(recovery_key_of(tests::kRecoveryKey).size() == 32);
  CHECK(recovery_key_of("000011-000022-000033").empty());
  CHECK(recovery_key_of("000012-000022-000033-000044-000055-000066-000077-000088").empty());
  Bytes plain = pattern(2 * kMiB, 31);
  Machine machine;
  machine.add(tests::bitlocker(plain));
  machine.look(tests::kRecoveryKey);
  CHECK(machine.content("vda:bitlocker") == tests::seen_in_bitlocker(plain));
  machine.look("000011-000022-000033-000044-000055-000066-000077-000088");
  CHECK(machine.why("vda").find("none of the keys") != std::string::npos);
}

TEST_CASE("volumes lie on one another: LVM on LUKS on RAID, LUKS on LVM", "[volumes]") {
  Bytes inner = pattern(4 * kMiB, 50), member(10 * kMiB);
  std::string linear = "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 0]";
  tests::make_physical_volume(inner, kId1,
                              tests::group_text("vg0", 1, tests::physical_text("pv0", kId1, 3),
                                                tests::logical_text("root", 2, linear)));
  Bytes encrypted = tests::luks2(inner, "secret");
  std::copy(encrypted.begin(), encrypted.end(), member.begin() + kMiB);
  tests::make_raid_member(member, 2, {.used_size = 8 * kMiB});
  Machine stacked;
  stacked.add(member);
  stacked.look("secret");
  CHECK(stacked.content("vg0/root") == part_of(inner, kMiB, 2 * kMiB));
  CHECK(stacked.found.volumes.at(0).origin == "LVM on LUKS on RAID on vda");

  Bytes disk = pattern(8 * kMiB, 51), plain = pattern(2 * kMiB, 52);
  Bytes on_lvm = tests::luks1(plain, "secret");
  tests::make_physical_volume(disk, kId1,
                              tests::group_text("vg0", 1, tests::physical_text("pv0", kId1, 7),
                                                tests::logical_text("home", 3, linear)));
  std::copy(on_lvm.begin(), on_lvm.end(), disk.begin() + kMiB);
  Machine inside;
  inside.add(disk);
  inside.look("secret");
  CHECK(inside.content("vg0/home:luks") == plain);
  CHECK(inside.found.volumes.at(0).origin == "LUKS on LVM on vda");
  inside.look();
  CHECK(inside.why("vg0/home").find("no key was given") != std::string::npos);
}

// Whatever is damaged, the search ends, says so, or finds volumes that can be read.
TEST_CASE("damaged volumes are found or named, and nothing else happens", "[volumes]") {
  std::string linear = "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 1]";
  Bytes lvm = pattern(4 * kMiB, 60), raid = pattern(2 * kMiB, 61);
  tests::make_physical_volume(lvm, kId1,
                              tests::group_text("vg0", 1, tests::physical_text("pv0", kId1, 3),
                                                tests::logical_text("root", 2, linear)));
  tests::make_raid_member(
      raid, 2,
      {.level = 5, .layout = 2, .chunk_size = 65536, .member_count = 3, .used_size = kMiB});
  Bytes luks = tests::luks2(pattern(kMiB, 62), "x"), locked = tests::bitlocker(pattern(kMiB, 63));
  std::mt19937 random(20261128);
  for (int round = 0; round < 300; ++round) {
    Machine machine;
    for (const Bytes* whole : {&lvm, &raid, &luks, &locked}) {
      Bytes bytes = *whole;
      size_t count = random() % 8 + 1;
      for (size_t i = 0; i < count; ++i) {
        size_t limit = random() % 2 == 0 ? 8192 : 70'000;
        size_t base = whole == &locked && random() % 2 == 0 ? 256 << 10 : 0;
        bytes[base + random() % limit] = static_cast<uint8_t>(random());
      }
      machine.add(std::move(bytes));
    }
    machine.look();
    for (const FoundVolume& each : machine.found.volumes) {
      MappedVolume volume(machine.found.map, machine.pointers, each.source);
      Bytes start(std::min<uint64_t>(volume.size(), 65536));
      volume.read(0, start);
    }
  }
}

}  // namespace images::volumes
