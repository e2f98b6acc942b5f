#include "agent/physical_definition.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/scratch_directory.h"

namespace agent {
namespace {

namespace fs = std::filesystem;

void write_line(const fs::path& path, const std::string& line) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << line << '\n';
}

// A disk of /sys, whose device is at `bus`.
void add_disk(const fs::path& root, const std::string& name, const std::string& bus) {
  fs::path device = root / "sys/devices" / bus / name;
  fs::create_directories(device);
  write_line(root / "sys/block" / name / "size", "2048");
  write_line(root / "sys/block" / name / "removable", "0");
  fs::create_symlink(device, root / "sys/block" / name / "device");
}

TEST_CASE("a server's own disks are those that do not go away by themselves") {
  base::ScratchDirectory folder(fs::temp_directory_path().string(), "muletto-disks-test");
  fs::path root = folder.path();
  add_disk(root, "sda", "pci0000:00/ata1");
  add_disk(root, "sdb", "pci0000:00/usb2/2-1");
  add_disk(root, "nvme0n1", "pci0000:00/nvme0");
  add_disk(root, "nvme0c0n1", "pci0000:00/nvme0");
  write_line(root / "sys/block/nvme0c0n1/hidden", "1");
  add_disk(root, "sr0", "pci0000:00/ata2");
  write_line(root / "sys/block/sr0/removable", "1");
  CHECK(physical_disks(folder.path()) == std::vector<std::string>{"nvme0n1", "sda"});
  CHECK(usb_disks(folder.path()) == std::vector<std::string>{"sdb"});
}

}  // namespace
}  // namespace agent
