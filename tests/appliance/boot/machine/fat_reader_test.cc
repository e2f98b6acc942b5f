// EFI system partitions as mtools makes them, in each width of the table.
#include "appliance/boot/machine/fat_reader.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <random>

#include "appliance/boot/machine/uefi_boot_entry.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "tests/skip.h"

namespace appliance::boot {
namespace {

class MemoryDisk : public images::DiskSource {
 public:
  explicit MemoryDisk(base::Bytes content) : content_(std::move(content)) {}
  uint64_t size() const override { return content_.size(); }
  std::vector<images::Extent> extents(uint64_t, uint64_t) override { return {}; }
  void read(uint64_t offset, base::MutableByteView out) override {
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }
  base::Bytes content_;
};

bool has_mtools() {
  try {
    return base::run_command({"mformat", "--version"}).status == 0;
  } catch (const base::Error&) {
    return false;
  }
}

// A FAT file system of so many MiB with \\EFI\\a long folder name\\grubx64.efi.
base::Bytes esp(const std::string& folder, size_t size_mib, bool is_32) {
  std::string path = folder + "/esp";
  std::ofstream(path).close();
  std::filesystem::resize_file(path, size_mib << 20);
  std::vector<std::string> format{"mformat", "-i", path, "-T", std::to_string(size_mib * 2048)};
  if (is_32) format.push_back("-F");
  format.push_back("::");
  base::run_checked(format);
  base::run_checked({"mmd", "-i", path, "::/EFI", "::/EFI/a long folder name"});
  std::ofstream(folder + "/loader") << "loader";
  base::run_checked(
      {"mcopy", "-i", path, folder + "/loader", "::/EFI/a long folder name/grubx64.efi"});
  return base::read_file(base::real_file_system(), path, 256 << 20);
}

}  // namespace

TEST_CASE("files of a FAT file system are found by their long names", "[boot]") {
  SKIP_UNLESS(has_mtools(), "it needs mtools");
  base::ScratchDirectory folder(std::filesystem::temp_directory_path().string(),
                                "muletto-fat-test");
  for (auto [size_mib, is_32] : {std::pair<size_t, bool>{2, false}, {32, false}, {64, true}}) {
    INFO(size_mib);
    MemoryDisk disk(esp(folder.path(), size_mib, is_32));
    auto reader = FatReader::open(disk, 0);
    REQUIRE(reader);
    auto names = reader->list("efi/A LONG folder name");
    REQUIRE(names.size() == 3);  // with . and ..
    CHECK(names[2].name == "grubx64.efi");
    CHECK(reader->list("EFI/nowhere").empty());
  }
}

TEST_CASE("a file of a FAT file system is read whole or not at all", "[boot]") {
  SKIP_UNLESS(has_mtools(), "it needs mtools");
  base::ScratchDirectory folder(std::filesystem::temp_directory_path().string(),
                                "muletto-fat-test");
  esp(folder.path(), 2, false);
  std::string content;
  for (int i = 0; i < 5000; ++i) content += std::to_string(i);
  std::ofstream(folder.path() + "/BCD") << content;
  base::run_checked({"mcopy", "-i", folder.path() + "/esp", folder.path() + "/BCD", "::/EFI/BCD"});
  base::Bytes good = base::read_file(base::real_file_system(), folder.path() + "/esp", 256 << 20);
  MemoryDisk disk(good);
  auto reader = FatReader::open(disk, 0);
  REQUIRE(reader);
  auto size = static_cast<uint32_t>(content.size());
  auto read = reader->read_file("efi/bcd", size);
  REQUIRE(read);
  CHECK(base::as_text(*read) == content);
  CHECK_FALSE(reader->read_file("efi/bcd", size - 1));
  CHECK_FALSE(reader->read_file("efi/none", size));
  CHECK_FALSE(reader->read_file("efi", size));
  std::mt19937_64 random(20261128);
  for (int i = 0; i < 500; ++i) {
    MemoryDisk damaged(good);
    for (int j = 0; j < 6; ++j) damaged.content_[random() % 32768] = static_cast<uint8_t>(random());
    auto files = FatReader::open(damaged, 0);
    auto found = files ? files->read_file("EFI/BCD", size) : std::nullopt;
    CHECK((!found || found->size() <= size));
  }
}

TEST_CASE("a damaged FAT file system has no names, and ends nothing", "[boot]") {
  SKIP_UNLESS(has_mtools(), "it needs mtools");
  base::ScratchDirectory folder(std::filesystem::temp_directory_path().string(),
                                "muletto-fat-test");
  base::Bytes good = esp(folder.path(), 2, false);
  std::mt19937_64 random(20261128);
  for (int i = 0; i < 3000; ++i) {
    MemoryDisk disk(good);
    size_t reach = i % 2 == 0 ? 512 : 32768;
    for (int j = 0; j < 6; ++j) disk.content_[random() % reach] = static_cast<uint8_t>(random());
    if (auto reader = FatReader::open(disk, 0)) reader->list("EFI/a long folder name");
  }
}

TEST_CASE("a boot entry is added after the variables that are there", "[boot]") {
  // A firmware volume with an authenticated store of 4 KiB.
  base::Bytes chip(8192, 0xff);
  std::fill(chip.begin(), chip.begin() + 72, uint8_t{0});
  chip[48] = 72;
  base::Bytes store = base::from_hex("782cf3aa7b949a43a1802e144ec37792", 16);
  std::copy(store.begin(), store.end(), chip.begin() + 72);
  base::store_u32(chip.data() + 72 + 16, 4096);
  chip[72 + 20] = 0x5a;
  chip[72 + 21] = 0xfe;
  UefiBootEntry entry{"x", "\\EFI\\a\\b.efi", 2, 2048, 4096, {1, 2, 3}};
  base::Bytes done = with_boot_entry(chip, entry);
  CHECK(done.size() == chip.size());
  CHECK(done[100] == 0xaa);
  CHECK(done[101] == 0x55);
  // A second entry would have the same number: it goes after the first, not over it.
  base::Bytes twice = with_boot_entry(done, entry);
  CHECK(std::equal(done.begin(), done.begin() + 300, twice.begin()));
  CHECK(twice != done);
  chip[72 + 20] = 0;
  CHECK_THROWS_AS(with_boot_entry(chip, entry), base::Error);
  CHECK_THROWS_AS(with_boot_entry(base::Bytes(10), entry), base::Error);
}

}  // namespace appliance::boot
