// What a VM may leave: to others, in logs, and after a start or stop that failed.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "appliance/boot/boot_service.h"
#include "tests/appliance/boot/boot_appliance.h"
#include "tests/skip.h"

namespace appliance::boot {
namespace {

namespace fs = std::filesystem;
using images::ExportProcess;

}  // namespace

TEST_CASE("a start or stop that failed half-way is finished while the daemon runs", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  const Phase phase = GENERATE(Phase::starting, Phase::stopping);
  Appliance appliance;
  InstantVm other = appliance.start();
  BootOptions fresh;
  fresh.macs = MacChoice::fresh;
  InstantVm vm = appliance.start(fresh);
  appliance.set_phase(vm.id, phase);
  CHECK_FALSE(appliance.service().tend().empty());
  CHECK(appliance.exports().size() == 1);
  CHECK(appliance.service().get(other.id).state == VmState::running);
  appliance.service().stop(other.id);
  CHECK(appliance.nothing_left());
}

TEST_CASE("a folder without a record is removed only if it is ours or empty", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  const std::string vms =
      fs::path(appliance.paths(BootId::random()).folder).parent_path().string() + "/";
  const access::NodeId elsewhere = access::NodeId::random();
  auto make = [&](const std::string& name, const std::string& file) {
    fs::create_directory(vms + name);
    if (!file.empty()) std::ofstream(vms + name + "/" + file) << "x";
    return vms + name;
  };
  const std::string id = BootId::random().hex();
  std::string ours =
      make(BootId::random().hex() + "." + access::NodeId{}.hex() + ".new", "boot.json.tmp");
  std::string theirs = make(id + "." + elsewhere.hex() + ".new", "boot.json.tmp");
  std::string bare = make(BootId::random().hex(), "boot.json.tmp");
  std::string strange = make(BootId::random().hex(), "vda.qcow2");
  std::string foreign = make("not-a-boot", "file");

  CHECK(appliance.service().list(access::TenantScope::all()).empty());
  AdoptReport report = appliance.service().adopt();
  CHECK(report.cleaned.size() == 2);
  REQUIRE(report.problems.size() == 1);
  CHECK_THAT(report.problems[0], Catch::Contains("no boot.json"));
  CHECK_FALSE(fs::exists(ours));
  CHECK_FALSE(fs::exists(bare));
  CHECK(fs::exists(theirs + "/boot.json.tmp"));
  CHECK(fs::exists(strange + "/vda.qcow2"));
  CHECK(fs::exists(foreign + "/file"));
  appliance.service().tend();
  CHECK(fs::exists(theirs + "/boot.json.tmp"));
  for (const std::string& each : {theirs, strange, foreign}) fs::remove_all(each);

  // Our own start leaves nothing of the kind.
  InstantVm vm = appliance.start();
  CHECK(std::distance(fs::directory_iterator(vms), fs::directory_iterator()) == 1);
  appliance.service().stop(vm.id);
  CHECK(appliance.nothing_left());
}

TEST_CASE("an export whose VM has no folder any more is ended", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  appliance.hypervisor().destroy(vm.domain_name);
  appliance.hypervisor().undefine(vm.domain_name);
  fs::remove_all(appliance.paths(vm.id).folder);
  CHECK(appliance.exports().size() == 1);
  CHECK(appliance.service().tend().size() == 1);
  CHECK(appliance.nothing_left());
}

TEST_CASE("that the rules around isolated VMs were taken away is told for a while", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  appliance.hypervisor().isolation_was_lost = true;
  CHECK(appliance.service().tend().size() == 1);
  CHECK_THAT(appliance.service().isolation_problem(), Catch::Contains("removed"));
}

TEST_CASE("a state folder that is gone is not a list without VMs", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  const std::string vms = fs::path(appliance.paths(vm.id).folder).parent_path();
  fs::rename(vms, vms + ".away");
  CHECK_THROWS_WITH(appliance.service().list(access::TenantScope::all()),
                    Catch::Contains("is its disk mounted"));
  CHECK_THROWS_AS(appliance.service().timeline_holders(access::TenantScope::all()), base::Error);
  appliance.service().tend();
  CHECK(appliance.exports().size() == 1);
  fs::rename(vms + ".away", vms);
  CHECK(appliance.service().list(access::TenantScope::all()).size() == 1);
  appliance.service().stop(vm.id);
}

TEST_CASE("what a VM is made of is closed to everybody but QEMU's user", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  appliance.hypervisor().qemu = {64055, 64056};
  InstantVm vm = appliance.start();
  BootPaths paths = appliance.paths(vm.id);
  auto look = [](const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
  };
  CHECK(look(paths.socket_path).st_uid == 64055);
  CHECK((look(paths.socket_path).st_mode & 0777) == 0600);
  CHECK((look(paths.overlay_path("vda")).st_mode & 0777) == 0600);
  for (const std::string& folder : {paths.folder, paths.run_folder}) {
    CHECK(look(folder).st_uid == ::geteuid());
    CHECK(look(folder).st_gid == 64056);
    CHECK((look(folder).st_mode & 0777) == 0710);
  }
  // The same after the export was started again.
  ExportProcess::find(paths.socket_path)->stop();
  appliance.service().tend();
  CHECK(look(paths.socket_path).st_uid == 64055);
}

TEST_CASE("logs of a VM do not grow without bound", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  BootPaths paths = appliance.paths(vm.id);
  std::string line(99, 'x');
  for (const std::string& path : {paths.log_path, paths.serial_path}) {
    std::ofstream log(path, std::ios::app);
    for (int i = 0; i < 100'000; ++i) log << line << '\n';
    log << "the last line\n";
  }
  uint64_t before = appliance.service().serial_size(vm.id);
  appliance.service().tend();
  CHECK(appliance.service().serial_size(vm.id) < before);
  for (const std::string& path : {paths.log_path, paths.serial_path}) {
    CHECK(fs::file_size(path) <= 1 << 20);
    CHECK(fs::file_size(path) > 1000'000);
    std::ifstream log(path);
    std::string first, last, next;
    std::getline(log, first);
    CHECK(first == line);
    while (std::getline(log, next)) last = next;
    CHECK(last == "the last line");
  }
}

}  // namespace appliance::boot
