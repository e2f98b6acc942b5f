// The readers of other hypervisors' files: what they say of whole ones, and that damaged ones, of
// which there are endlessly many, are refused or read within bounds.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/digest.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "images/imports/foreign_machine.h"
#include "images/imports/ovf_descriptor.h"
#include "images/imports/proxmox_config.h"
#include "images/imports/tar_archive.h"
#include "images/imports/vma_archive.h"
#include "images/imports/vmx_file.h"
#include "images/sources/differencing_chain.h"
#include "images/sources/vhd_layer.h"
#include "images/sources/vhdx_layer.h"
#include "images/sources/vmdk_check.h"
#include "images/sources/wide_names.h"

namespace images {
namespace {

using base::Bytes;

constexpr uint64_t kMiB = 1 << 20;
const std::string kTool = std::string(MULETTO_TEST_DATA) + "/tools/foreign-images";

base::UniqueFd file_of(base::ByteView bytes) {
  base::UniqueFd file(::memfd_create("image", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return file;
}

// Changes a few bytes below `end`, or cuts the file off.
void mutate(Bytes& bytes, size_t end, std::mt19937& random) {
  for (uint32_t i = random() % 4 + 1; i > 0; --i) {
    size_t at = random() % std::min(end, bytes.size());
    switch (random() % 8) {
      case 0: bytes.resize(at + 1); return;
      case 1: bytes[at] = 0xff; break;
      case 2: bytes[at] = 0; break;
      default: bytes[at] ^= static_cast<uint8_t>(1u << random() % 8);
    }
  }
}

// Runs `read` on the file and on many that are nearly it.
template <typename Read>
void expect_bounded(const Bytes& whole, size_t end, int count, Read read) {
  std::mt19937 random(7);
  for (int i = 0; i < count; ++i) {
    Bytes bytes = whole;
    if (i > 0) mutate(bytes, end, random);
    try {
      read(bytes);
    } catch (const base::Error&) {
      REQUIRE(i > 0);
    }
  }
}

void read_layer(const ImageLayer& layer) {
  for (uint64_t offset = 0; offset < std::min(layer.size(), 64 * kMiB);) {
    LayerRun run = layer.run_at(offset, layer.size());
    REQUIRE(run.length > 0);
    REQUIRE(run.length <= layer.size() - offset);
    offset += run.length;
  }
  layer.run_at(layer.size() - 512, layer.size());
}

struct Samples {
  base::ScratchDirectory scratch{"/tmp", "muletto-imports-test"};
  std::string at(const std::string& name) const { return scratch.path() + "/" + name; }
  Bytes bytes(const std::string& name) const {
    return base::read_file(base::real_file_system(), at(name), 64 * kMiB);
  }
  void disk(const std::string& name, char fill) const {
    std::ofstream file(at(name), std::ios::binary);
    file << std::string(300'000, fill);
    file.close();
    std::filesystem::resize_file(at(name), 5 * kMiB);
  }
};

TEST_CASE("tar archives are listed where they lie") {
  Samples samples;
  samples.disk("one", 'a');
  std::string long_name(150, 'n');
  samples.disk(long_name, 'b');
  for (const char* format : {"ustar", "gnu", "pax"}) {
    if (std::string_view(format) == "ustar") std::filesystem::remove(samples.at(long_name));
    else samples.disk(long_name, 'b');
    base::run_checked({"tar", "-C", samples.scratch.path(), "--hard-dereference",
                       std::string("--format=") + format, "-cf", samples.at("x.tar"), "one",
                       std::string_view(format) == "ustar" ? "one" : long_name});
    Bytes bytes = samples.bytes("x.tar");
    INFO(format);
    if (std::string_view(format) == "ustar") {
      CHECK_THROWS_WITH(list_tar({file_of(bytes).get()}, "x.tar"), Catch::Contains("there twice"));
      continue;
    }
    auto members = list_tar({file_of(bytes).get()}, "x.tar");
    REQUIRE(members.size() == 2);
    CHECK(members[1].name == long_name);
    CHECK(members[0].size == 5 * kMiB);
    CHECK(bytes[members[0].offset] == 'a');
    expect_bounded(bytes, 4096, 400,
                   [](const Bytes& damaged) { list_tar({file_of(damaged).get()}, "x.tar"); });
  }
}

TEST_CASE("a chain of VHD and of VHDX files, and damaged ones") {
  Samples samples;
  samples.disk("a.raw", 'a');
  samples.disk("b.raw", 'b');
  for (std::string kind : {"vhd", "vhdx"}) {
    INFO(kind);
    std::string format = kind == "vhd" ? "vpc" : "vhdx";
    std::string options = kind == "vhd" ? "force_size=on" : "block_size=2097152";
    base::run_checked({"qemu-img", "convert", "-f", "raw", "-O", format, "-o", options,
                       samples.at("a.raw"), samples.at("a." + kind)});
    base::run_checked(
        {kTool, kind, samples.at("a." + kind), samples.at("b." + kind), samples.at("b.raw")});
    auto chain = open_differencing_chain(samples.at("b." + kind), format, {});
    REQUIRE(chain);
    CHECK(chain->files.size() == 2);
    Bytes content(5 * kMiB);
    chain->disk->read(0, content);
    CHECK(content == samples.bytes("b.raw"));
    CHECK_FALSE(open_differencing_chain(samples.at("a." + kind), format, {}));
    CHECK(parent_names(samples.at("b." + kind)).front() == "a." + kind);
    CHECK(parent_names(samples.at("a." + kind)).empty());

    Bytes whole = samples.bytes("b." + kind);
    size_t end = kind == "vhd" ? 8192 : 4 * kMiB;
    expect_bounded(whole, end, kind == "vhd" ? 1500 : 150, [&](Bytes bytes) {
      if (kind == "vhd" && bytes.size() > 4096) {
        // After the checksums.
        auto mend = [&](size_t begin, size_t size, size_t at) {
          uint32_t sum = 0;
          for (size_t i = 0; i < size; ++i) sum += i >= at && i < at + 4 ? 0 : bytes[begin + i];
          for (int i = 0; i < 4; ++i)
            bytes[begin + at + static_cast<size_t>(i)] = static_cast<uint8_t>(~sum >> (24 - 8 * i));
        };
        mend(0, 512, 64);
        mend(512, 1024, 36);
        bytes.resize(bytes.size() - 512);  // so that the mended footer counts
      }
      base::UniqueFd file = file_of(bytes);
      auto layer =
          kind == "vhd" ? open_vhd_layer({file.get()}, "x") : open_vhdx_layer({file.get()}, "x");
      if (layer) read_layer(*layer);
    });
  }
}

TEST_CASE("a VMA archive, and damaged ones") {
  Samples samples;
  samples.disk("a.raw", 'a');
  samples.disk("b.raw", 'b');
  std::ofstream(samples.at("conf")) << "name: x\nscsi0: local:1\n";
  base::run_checked({kTool, "vma", samples.at("x.vma"), samples.at("conf"),
                     "drive-scsi0=" + samples.at("a.raw"), "drive-virtio0=" + samples.at("b.raw")});
  Bytes whole = samples.bytes("x.vma");
  base::UniqueFd file = file_of(whole);
  auto archive = VmaArchive::open({file.get()}, "x.vma", {});
  REQUIRE(archive->devices().size() == 2);
  CHECK(archive->machine_config() == "name: x\nscsi0: local:1\n");
  Bytes content(5 * kMiB);
  archive->disk(1)->read(0, content);
  CHECK(content == samples.bytes("b.raw"));
  expect_bounded(whole, 14000, 400, [](Bytes bytes) {
    if (bytes.size() > 12800) {
      std::fill_n(bytes.begin() + 32, 16, uint8_t{0});
      base::Digest digest(base::DigestKind::md5);
      size_t size = std::min<size_t>(bytes.size(), size_t{bytes[58]} << 8 | bytes[59]);
      digest.update(base::ByteView(bytes).first(size));
      Bytes sum = base::from_hex(digest.finish(), 16);
      std::copy(sum.begin(), sum.end(), bytes.begin() + 32);
    }
    base::UniqueFd damaged = file_of(bytes);
    auto opened = VmaArchive::open({damaged.get()}, "x.vma", {});
    for (size_t i = 0; i < opened->devices().size(); ++i) {
      Bytes piece(std::min<uint64_t>(opened->devices()[i].size, kMiB));
      opened->disk(i)->read(0, piece);
    }
  });
}

TEST_CASE("settings of VMware and Proxmox, and nonsense") {
  std::string vmx =
      "config.version = \"8\"\ndisplayName = \"web |22x|22\"\nscsi0.present = \"TRUE\"\n"
      "scsi0.virtualDev = \"pvscsi\"\nscsi0:3.present = \"TRUE\"\nscsi0:3.fileName = \"a.vmdk\"\n"
      "nvme0:0.present = \"TRUE\"\nnvme0:0.fileName = \"b.vmdk\"\nmemsize = "
      "\"99999999999999999\"\n";
  ForeignMachine machine = read_vmx(vmx, "x.vmx");
  CHECK(machine.name == "web \"x\"");
  REQUIRE(machine.disks.size() == 2);
  ForeignDefinition made = definition_of(machine);
  CHECK(made.disk_names == std::vector<std::string>{"sda", "sdb"});
  CHECK(made.notes.size() == 1);  // NVMe becomes SATA
  CHECK(made.definition.libvirt_xml.find("target=\"3\"") != std::string::npos);
  CHECK_THROWS_AS(read_vmx("root:x:0:0:", "x.vmx"), base::Error);
  CHECK_THROWS_WITH(read_vmx(vmx + "encryption.keySafe = \"x\"\n", "x.vmx"),
                    Catch::Contains("encrypted"));
  std::string conf =
      "scsi0: a,size=1G\nnet0: virtio=00:11:22:33:44:55,bridge=b\nboot: order=scsi0\n";
  CHECK(read_proxmox_config(conf, "x").machine.cards.front().mac == "00:11:22:33:44:55");
  auto as_bytes = [](const std::string& text) { return Bytes(text.begin(), text.end()); };
  expect_bounded(as_bytes(vmx), vmx.size(), 2000, [](const Bytes& bytes) {
    definition_of(read_vmx(base::as_text(bytes), "x.vmx"));
  });
  expect_bounded(as_bytes(conf), conf.size(), 2000, [](const Bytes& bytes) {
    definition_of(read_proxmox_config(base::as_text(bytes), "x").machine);
  });
}

TEST_CASE("manifests and names in UTF-16") {
  auto sums = read_manifest("SHA256(a b.vmdk)= 0A0B\r\nSHA1(x)=ff\n\n", "x.mf");
  CHECK(sums.at("a b.vmdk").value == "0a0b");
  CHECK(sums.at("x").kind == base::DigestKind::sha1);
  CHECK_THROWS_AS(read_manifest("hello", "x.mf"), base::Error);
  CHECK_THROWS_WITH(read_manifest("CRC32(x)= 00", "x.mf"), Catch::Contains("CRC32"));
  CHECK(text_of_wide(std::string_view("\0a\x20\xac\xd8\x3d\xde\x00\xd8\0\0x", 12),
                     WideOrder::big) == "a€😀?x");
}

}  // namespace
}  // namespace images
