// Moving a VM onto local storage, on a hypervisor in memory; and the shelf of boot traces.
#include "appliance/boot/block_pull.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/boot/files/boot_trace_cache.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "images/format/boot_trace_format.h"
#include "tests/appliance/boot/fake_hypervisor.h"

namespace appliance::boot {
namespace {

constexpr const char* kXml =
    "<domain><name>muletto-a</name><devices><disk type='file' device='disk'>"
    "<driver name='qemu' type='qcow2'/><source file='/overlay'/>"
    "<backingStore type='network'><format type='raw'/><source protocol='nbd' name='vda'/>"
    "<backingStore/></backingStore><target dev='vda' bus='virtio'/></disk></devices></domain>";

class PulledVm {
 public:
  PulledVm() : directory_("/tmp", "muletto-pull") {
    id_ = BootId::random();
    paths_ = boot_paths(directory_.path(), directory_.path() + "/run", id_);
    std::filesystem::create_directories(paths_.folder);
    BootRecord record;
    record.phase = Phase::started;
    record.vm.id = id_;
    record.vm.machine_name = "a";
    record.vm.domain_name = "muletto-a";
    record.vm.disks.push_back({.name = "vda", .overlay_path = "/overlay", .size = 1000});
    write_record(base::real_file_system(), paths_, record);
    base::write_file_durably(base::real_file_system(), paths_.domain_path, base::as_bytes(kXml));
    hypervisor.start(kXml);
  }

  std::unique_ptr<BlockPull> begin_pull(uint64_t bandwidth = 0) {
    return std::make_unique<BlockPull>(
        hypervisor,
        [this](const std::function<void(BootRecord&, const BootPaths&)>& action) {
          BootRecord each = record();
          action(each, paths_);
        },
        bandwidth);
  }
  void pull() {
    auto pull = begin_pull();
    while (!pull->step()) {
    }
  }
  BootRecord record() { return read_record(base::real_file_system(), paths_); }
  std::string saved_xml() {
    base::Bytes bytes = base::read_file(base::real_file_system(), paths_.domain_path, 1 << 20);
    return std::string(base::as_text(bytes));
  }

  FakeHypervisor hypervisor;

 private:
  base::ScratchDirectory directory_;
  BootId id_;
  BootPaths paths_;
};

}  // namespace

TEST_CASE("a pulled VM forgets its export", "[boot]") {
  PulledVm vm;
  auto pull = vm.begin_pull(7);
  CHECK_FALSE(pull->step());  // it has begun
  CHECK(vm.record().vm.is_pulling);
  while (!pull->step()) CHECK_FALSE(vm.record().vm.is_local);
  BootRecord record = vm.record();
  CHECK(record.vm.is_local);
  CHECK_FALSE(record.vm.is_pulling);
  CHECK(record.vm.pull_bandwidth == 7);
  CHECK(vm.hypervisor.pulls_begun == 1);
  CHECK(vm.hypervisor.released == 1);
  CHECK((pull->progress().done == 1000 && pull->progress().total == 1000));
  CHECK_FALSE(has_backing(vm.saved_xml(), "/overlay"));
  CHECK(vm.saved_xml().find("nbd") == std::string::npos);
  // Cut off before boot.json said so, it is finished again.
  vm.pull();
  CHECK(vm.hypervisor.pulls_begun == 1);
}

TEST_CASE("a pull that cannot continue says why, and the VM runs as before", "[boot]") {
  PulledVm vm;
  SECTION("QEMU gives up once") {
    vm.hypervisor.failing_pulls = 1;
    vm.pull();
    CHECK(vm.hypervisor.pulls_begun == 2);
    CHECK(vm.record().vm.is_local);
  }
  SECTION("QEMU gives up again and again") {
    vm.hypervisor.failing_pulls = 100;
    CHECK_THROWS_WITH(vm.pull(), Catch::Contains("cannot copy disk vda of a"));
    CHECK_FALSE(vm.record().vm.is_pulling);
  }
  SECTION("it does not run") {
    vm.hypervisor.domains.clear();
    CHECK_THROWS_WITH(vm.pull(), Catch::Contains("is not running"));
    CHECK_FALSE(vm.record().vm.is_pulling);
  }
  SECTION("the guest ends") {
    auto pull = vm.begin_pull();
    CHECK_FALSE(pull->step());
    vm.hypervisor.domains.clear();
    CHECK_THROWS_WITH(pull->step(), Catch::Contains("has ended before it was moved"));
    CHECK_FALSE(vm.record().vm.is_pulling);
  }
  SECTION("cancelled") {
    auto pull = vm.begin_pull();
    CHECK_FALSE(pull->step());
    pull->give_up();
    CHECK(vm.hypervisor.pulls_cancelled == 1);
    CHECK_FALSE(vm.record().vm.is_pulling);
  }
  SECTION("the daemon ends: QEMU copies on, and the next daemon takes it up") {
    CHECK_FALSE(vm.begin_pull()->step());
    CHECK(vm.hypervisor.pulls_cancelled == 0);
    CHECK(vm.record().vm.is_pulling);
    vm.pull();
    CHECK(vm.hypervisor.pulls_begun == 1);
    CHECK(vm.record().vm.is_local);
    return;
  }
}

TEST_CASE("the trace shelf keeps the newest trace of a guest that was up", "[boot]") {
  base::ScratchDirectory directory("/tmp", "muletto-shelf");
  BootTraceCache shelf(directory.path() + "/traces");
  std::string recorded = directory.path() + "/boot.trace";
  base::FileSystem& files = base::real_file_system();
  auto take = [&](uint64_t recorded_ms, bool was_up) {
    images::BootTrace trace{
        .chunk_size = 65536, .guest_was_up = was_up, .recorded_ms = recorded_ms, .disks = {"vda"}};
    base::write_file_durably(files, recorded, images::format::encode_trace(trace));
    shelf.take("a-b", recorded);
    CHECK_FALSE(files.exists(recorded));
    return images::format::decode_trace(base::read_file(files, shelf.find("a-b"), 1 << 20))
        .recorded_ms;
  };
  CHECK(shelf.find("a-b").empty());
  shelf.take("a-b", recorded);  // nothing there
  CHECK(take(1, false) == 1);
  CHECK(take(2, false) == 2);
  CHECK(take(3, true) == 3);
  CHECK(take(4, false) == 3);
  CHECK(take(5, true) == 5);
  base::write_file_durably(files, recorded, base::as_bytes("no trace"));
  shelf.take("a-b", recorded);
  CHECK_FALSE(files.exists(recorded));
  CHECK_FALSE(shelf.find("a-b").empty());
  shelf.forget("a-b");
  shelf.forget("a-b");
  CHECK(shelf.find("a-b").empty());
  CHECK(BootTraceCache("").find("a-b").empty());
}

}  // namespace appliance::boot
