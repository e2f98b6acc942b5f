// Names as text, patterns, places, messages between the processes, and partitions: what needs no
// file system. The readers themselves are judged by real file systems: tests/system/94-files.sh.
#include "images/files/files_format.h"

#include <catch2/catch.hpp>
#include <random>

#include "images/files/archive_stream.h"
#include "images/files/comparison.h"
#include "images/files/file_place.h"
#include "images/files/link_memory.h"
#include "images/files/name_text.h"
#include "images/files/readers/btrfs_format.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/partitions.h"
#include "images/files/readers/xfs_format.h"

namespace images::files {
namespace {

class DiskInMemory : public DiskSource {
 public:
  explicit DiskInMemory(base::Bytes bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    REQUIRE(offset <= bytes_.size());
    REQUIRE(out.size() <= bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  base::Bytes bytes_;
};

Entry some_entry() {
  Entry entry;
  entry.path = std::string("a\xff\n/b", 5);
  Node& node = entry.node;
  node.kind = NodeKind::link;
  node.id = {7, 9};
  node.has_owner = true;
  node.mode = 04751;
  node.owner = 1234;
  node.size = 1ull << 40;
  node.modified = {-5, 999'999'999};
  node.target = "../x";
  node.attributes = {{"user.a", std::string("\0\xff", 2)}, {"user.b", ""}};
  return entry;
}

}  // namespace

TEST_CASE("each name has one text, and each text one name", "[files]") {
  CHECK(text_of_name("plain Ünï.txt") == "plain Ünï.txt");
  CHECK(text_of_name("100%") == "100%25");
  CHECK(text_of_name("a\nb\x7f") == "a%0Ab%7F");
  CHECK(text_of_name("\xff\xc3") == "%FF%C3");
  CHECK(text_of_name("\xed\xa0\x80") == "%ED%A0%80");  // half a pair of surrogates
  CHECK(text_of_name("a\u202eb") == "a%E2%80%AEb");    // would turn what follows around
  std::mt19937 random(20261128);
  for (int round = 0; round < 20'000; ++round) {
    std::string name;
    for (size_t size = random() % 12 + 1; name.size() < size;)
      name.push_back(static_cast<char>(random() % 255 + 1));
    REQUIRE(name_of_text(text_of_name(name)) == name);
  }
  CHECK_THROWS(name_of_text("50%"));
  CHECK_THROWS(name_of_text("%zz"));
  CHECK_THROWS(name_of_text("a%00b"));
}

TEST_CASE("patterns match whole names, words parts of them", "[files]") {
  CHECK(matches("*.xlsx", "invoice.xlsx", false));
  CHECK_FALSE(matches("*.xlsx", "invoice.xlsx.bak", false));
  CHECK(matches("voice", "invoice.xlsx", false));
  CHECK_FALSE(matches("VOICE", "invoice.xlsx", false));
  CHECK(matches("VOICE", "invoice.xlsx", true));
  CHECK(matches("ÄRGER*", "ärger.txt", true));
  CHECK(matches("r[0-9]?", "r1x", false));
  CHECK_FALSE(matches("r[!0-9]?", "r1x", false));
  CHECK(matches("*a*a*a*b", std::string(100, 'a') + "b", false));
  // Would take years if every star were tried at every place.
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "*a";
  CHECK_FALSE(matches(stars + "*b", std::string(4000, 'a'), false));
  CHECK(matches("a[b", "a[b", false));  // not closed: itself
}

TEST_CASE("a place is a volume and a path, and never leaves it", "[files]") {
  CHECK(place_of("vda1:/etc//fstab/").path == "/etc/fstab");
  CHECK(place_of("vg0/root:/etc").volume == "vg0/root");
  CHECK(place_of("vda3:luks:/etc").volume == "vda3:luks");
  CHECK(place_of("/etc").volume.empty());
  CHECK(place_of("vda1").path == "/");
  CHECK(place_of("vda1:").volume == "vda1");
  CHECK(place_of("vda1:/a%0Ab").path == "/a\nb");
  CHECK_THROWS(place_of("vda1:/../etc"));
  CHECK_THROWS(place_of("vda1:/a/%2E%2E/b"));
  FoundFileSystems found;
  CHECK_THROWS_WITH(choose(found, place_of("/")), Catch::Contains("no file system"));
  found.file_systems.resize(2);
  found.file_systems[0].name = "vda1";
  found.file_systems[1].name = "vda2";
  CHECK_THROWS_WITH(choose(found, place_of("/")), Catch::Contains("Say which"));
  CHECK(choose(found, place_of("vda2:/")) == 1);
  CHECK_THROWS_WITH(choose(found, place_of("vda9:/")), Catch::Contains("vda1"));
}

TEST_CASE("messages about files survive the way", "[files]") {
  Entry entry = some_entry();
  Entry same = unpack_entry(pack(entry));
  CHECK(same.path == entry.path);
  CHECK(same.node.id == entry.node.id);
  CHECK(same.node.modified == entry.node.modified);
  CHECK(same.node.attributes.at(0).value == entry.node.attributes.at(0).value);
  CHECK(pack(same) == pack(entry));
  PathRequest request{3, "/x", 17, 5, NodeId{1, 2}};
  CHECK(unpack_path(pack(MessageKind::list, request)).id == NodeId{1, 2});
}

TEST_CASE("impossible messages about files are refused", "[files]") {
  Entry entry = some_entry();
  entry.node.modified.nanoseconds = 1'000'000'000;
  CHECK_THROWS(unpack_entry(pack(entry)));
  entry = some_entry();
  entry.node.attributes[0].name = "user.a=b";  // would become another record of a tar
  CHECK_THROWS(unpack_entry(pack(entry)));
  entry = some_entry();
  entry.node.size = ~uint64_t{0};
  CHECK_THROWS(unpack_entry(pack(entry)));
  CHECK_THROWS(unpack_ranges(pack(std::vector<DataRange>{{10, 5}, {12, 5}})));
  CHECK_THROWS(unpack_ranges(pack(std::vector<DataRange>{{INT64_MAX, 5}})));
  CHECK_THROWS(unpack_ranges(pack(std::vector<DataRange>{{0, 0}})));
  CHECK_THROWS(unpack_disk_read(pack(DiskRead{0, 0, 2 << 20})));
}

TEST_CASE("mutated messages are refused or read, and nothing else", "[files]") {
  FoundFileSystems found;
  found.file_systems.push_back({"vda1", "ext4", "", "label", "uuid", 1 << 30, {"note"}});
  found.unread.push_back({"vda2", "why", true});
  End end;
  end.words = "words";
  std::vector<base::Bytes> all{pack(some_entry()),
                               pack(found),
                               pack(end),
                               pack(std::vector<DataRange>{{1, 2}, {5, 6}}),
                               pack_data(5, base::as_bytes("data")),
                               pack(MessageKind::problem, Problem{"p", "why"}),
                               pack(Progress{1, 2}),
                               pack(DiskRead{1, 2, 3})};
  std::mt19937 random(94);
  for (int round = 0; round < 40'000; ++round) {
    base::Bytes message = all[random() % all.size()];
    for (unsigned changes = random() % 4 + 1; changes > 0; --changes)
      message[random() % message.size()] = static_cast<uint8_t>(random());
    if (random() % 3 == 0) message.resize(random() % message.size() + 1);
    try {
      switch (kind_of(message)) {
        case MessageKind::entry: unpack_entry(message); break;
        case MessageKind::found: unpack_found(message); break;
        case MessageKind::end: unpack_end(message); break;
        case MessageKind::ranges: unpack_ranges(message); break;
        case MessageKind::data: unpack_data(message); break;
        case MessageKind::problem: unpack_problem(message); break;
        case MessageKind::progress: unpack_progress(message); break;
        case MessageKind::disk_read: unpack_disk_read(message); break;
        default: break;
      }
    } catch (const base::Error& error) {
      CHECK(error.code() == base::ErrorCode::corrupt);
    }
  }
}

TEST_CASE("a file's runs give its bytes, its holes and their bounds", "[files]") {
  base::Bytes bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  DiskInMemory disk(bytes);
  FileRuns runs(disk, 500);
  runs.add(300, 100, 100);
  runs.add(0, 600, 50);
  runs.close();
  base::Bytes out(500);
  runs.read(0, out);
  CHECK(out[49] == static_cast<uint8_t>(649));
  CHECK(out[50] == 0);
  CHECK(out[300] == 100);
  CHECK(out[400] == 0);
  auto ranges = runs.ranges(10);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[1].offset == 300);
  CHECK_THROWS(runs.add(0, 990, 20));
  FileRuns overlapping(disk, 500);
  overlapping.add(0, 0, 100);
  overlapping.add(50, 300, 100);
  CHECK_THROWS(overlapping.close());
  std::vector<DataRange> many;
  for (uint64_t i = 0; i < 1000; ++i) many.push_back({i * 100, i % 7 == 0 ? 1u : 90u});
  auto fewer = merged(many, 20);
  CHECK(fewer.size() <= 20);
  CHECK(fewer.front().offset == 0);
  CHECK(fewer.back().offset + fewer.back().length == many.back().offset + many.back().length);
}

TEST_CASE("random first sectors of disks are no file systems, or refused", "[files]") {
  std::mt19937 random(95);
  for (int round = 0; round < 3000; ++round) {
    base::Bytes bytes(64 << 10);
    for (size_t i = 0; i < 4096; ++i) bytes[i] = static_cast<uint8_t>(random());
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
    if (round % 2 == 0) std::copy_n("EFI PART", 8, bytes.begin() + 512);
    if (round % 3 == 0) std::copy_n("XFSB", 4, bytes.begin());
    for (size_t at : {446, 462, 478, 494}) bytes[at] &= 0x80;
    DiskInMemory disk(bytes);
    for (const Partition& each : partitions_of(disk)) {
      CHECK(each.offset <= disk.size());
      CHECK(each.size <= disk.size() - each.offset);
    }
    try {
      xfs::parse_superblock(bytes);
    } catch (const base::Error&) {
    }
    base::Bytes super(bytes.begin(), bytes.begin() + 4096);
    std::copy_n("_BHRfS_M", 8, super.begin() + 64);
    try {
      btrfs::parse_superblock(super);
    } catch (const base::Error&) {
    }
  }
}

TEST_CASE("an address of Btrfs is where its profile puts it", "[files]") {
  btrfs::Chunk chunk;
  chunk.begin = 1 << 20;
  chunk.length = 8 << 20;
  chunk.stripe_length = 65536;
  chunk.stripes = {{1, 0}, {2, 1 << 20}, {3, 2 << 20}, {4, 3 << 20}};
  chunk.kind = 0x8;  // RAID 0
  auto place = btrfs::place_in(chunk, (1 << 20) + 5 * 65536 + 10, 0);
  REQUIRE(place);
  CHECK(place->stripe.device == 2);
  CHECK(place->stripe.offset == (1 << 20) + 65536 + 10);
  CHECK(place->length == 65536 - 10);
  CHECK_FALSE(btrfs::place_in(chunk, 1 << 20, 1));
  chunk.kind = 0x40;  // RAID 10
  chunk.sub_stripes = 2;
  place = btrfs::place_in(chunk, (1 << 20) + 65536, 1);
  REQUIRE(place);
  CHECK(place->stripe.device == 4);
  CHECK(btrfs::crc32c(base::as_bytes("123456789")) == 0xe3069283);
}

TEST_CASE("what differs between two files is told in words", "[files]") {
  Node before;
  before.kind = NodeKind::file;
  before.changed = {5, 0};
  Node after = before;
  CHECK(differences(before, after).empty());
  after.changed = {6, 0};
  CHECK(differences(before, after) == std::vector<std::string>{"changed"});
  after.size = 3;
  after.mode = 0600;
  CHECK(differences(before, after) == std::vector<std::string>{"size", "mode"});
}

TEST_CASE("files with several names are met once", "[files]") {
  LinkMemory memory;
  Node node;
  node.kind = NodeKind::file;
  node.id = {0, 5};
  CHECK(memory.meet(node, "a") == nullptr);
  CHECK(memory.meet(node, "b") == nullptr);  // it has one name
  node.link_count = 2;
  CHECK(memory.meet(node, "c") == nullptr);
  const std::string* first = memory.meet(node, "d");
  REQUIRE(first != nullptr);
  CHECK(*first == "c");
}

}  // namespace images::files
