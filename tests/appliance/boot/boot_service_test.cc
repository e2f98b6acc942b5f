// The boot service with real exports and overlays, and a hypervisor in memory. Each crash is made
// by putting the state on disk that it would leave, and forgetting the service.
#include "appliance/boot/boot_service.h"

#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "appliance/boot/files/overlay.h"
#include "appliance/boot/restart.h"
#include "base/subprocess.h"
#include "tests/appliance/boot/boot_appliance.h"
#include "tests/skip.h"

namespace appliance::boot {
namespace {

namespace fs = std::filesystem;
using images::ExportProcess;

}  // namespace

TEST_CASE("an instant VM starts and leaves nothing behind", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  CHECK(vm.state == VmState::running);
  CHECK(vm.disks.at(0).size == 1 << 20);
  CHECK(fs::exists(vm.disks.at(0).overlay_path));
  CHECK(appliance.exports().size() == 1);
  CHECK(appliance.service().list(access::TenantScope::all()).size() == 1);
  CHECK(appliance.service().find("invoices", access::TenantScope::all()) == vm.id);
  CHECK(appliance.service().find(vm.id.hex().substr(0, 6), access::TenantScope::all()) == vm.id);

  SECTION("stopped") {
    appliance.service().stop(vm.id);
    CHECK(appliance.nothing_left());
    CHECK_THROWS_AS(appliance.service().get(vm.id), base::Error);
  }
  SECTION("stopped with its overlay kept, switched on again") {
    appliance.service().stop(vm.id, {.keep_overlay = true});
    CHECK(appliance.exports().empty());
    CHECK(appliance.service().get(vm.id).state == VmState::kept);
    appliance.service().power(vm.id, PowerAction::power_on);
    CHECK(appliance.service().get(vm.id).state == VmState::running);
    CHECK(appliance.exports().size() == 1);
  }
  SECTION("the guest powers off") {
    appliance.hypervisor().domains.clear();
    appliance.hypervisor().end = DomainEnd::guest;
    CHECK(appliance.service().get(vm.id).state == VmState::ended);
    CHECK(appliance.service().tend().size() == 1);
    CHECK(appliance.exports().empty());
    CHECK(appliance.service().tend().empty());
    appliance.service().stop(vm.id);
    CHECK(appliance.nothing_left());
  }
  SECTION("the export dies") {
    ::kill(appliance.exports().at(0).pid(), SIGKILL);
    while (!appliance.exports().empty()) ::usleep(1000);
    appliance.hypervisor().domains.begin()->second.state = DomainState::paused_by_io_error;
    CHECK(appliance.service().tend().size() == 2);
    CHECK(appliance.exports().size() == 1);
    CHECK(appliance.service().get(vm.id).state == VmState::running);
  }
}

TEST_CASE("two VMs of one machine never share a network", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  BootOptions drill, fresh;
  drill.networks = {{NetworkMode::isolated, "drill"}};
  fresh.macs = MacChoice::fresh;
  InstantVm first = appliance.start();
  CHECK_THROWS_WITH(appliance.start(),
                    Catch::Contains("same machine") && Catch::Contains("--fresh-macs"));
  InstantVm second = appliance.start(drill), third = appliance.start(fresh);
  CHECK(appliance.hypervisor().networks.size() == 2);
  appliance.service().stop(second.id, {.keep_overlay = true});
  CHECK(appliance.hypervisor().networks.size() == 1);  // the drill's last VM has left
  InstantVm fourth = appliance.start(drill);
  CHECK_THROWS_WITH(appliance.service().power(second.id, PowerAction::power_on),
                    Catch::Contains("same machine"));
  for (const InstantVm& vm : {first, second, third, fourth}) appliance.service().stop(vm.id);
  CHECK(appliance.nothing_left());
  CHECK(appliance.hypervisor().networks.empty());
}

TEST_CASE("a failed start leaves nothing behind", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  SECTION("QEMU does not start") {
    appliance.hypervisor().fail_to_start = true;
    CHECK_THROWS_WITH(appliance.start(), Catch::Contains("QEMU did not start"));
  }
  SECTION("no such bridge") {
    BootOptions options;
    options.networks = {{NetworkMode::bridge, "br7"}};
    CHECK_THROWS_WITH(appliance.start(options), Catch::Contains("no bridge 'br7'"));
  }
  SECTION("the original is there, and silent until it is called") {
    appliance.hypervisor().answers_solicitations = true;
    BootOptions options;
    options.networks = {{NetworkMode::bridge, "br0"}};
    CHECK_THROWS_WITH(appliance.start(options), Catch::Contains("seems to be alive"));
  }
  SECTION("too little memory") {
    appliance.hypervisor().memory_available = 1ull << 30;
    CHECK_THROWS_WITH(appliance.start(), Catch::Contains("memory"));
  }
  CHECK(appliance.nothing_left());
}

TEST_CASE("a point that is known to be damaged is started only on purpose", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  appliance.is_known_damaged = true;
  try {
    appliance.start();
    FAIL("it was started");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::corrupt);
    CHECK_THAT(error.message(), Catch::Contains("--accept-damage"));
  }
  CHECK(appliance.nothing_left());
  BootOptions options;
  options.accept_damage = true;
  InstantVm vm = appliance.start(options);
  CHECK(vm.state == VmState::running);
  CHECK_THAT(vm.notes.at(0), Catch::Contains("damaged at 1970"));
}

TEST_CASE("memory is promised once", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  appliance.hypervisor().memory_available =
      2600ull << 20;  // two VMs of 1 GiB do not fit beside the reserve
  appliance.start();
  CHECK_THROWS_WITH(appliance.start(), Catch::Contains("memory"));
  CHECK(appliance.service().list(access::TenantScope::all()).size() == 1);
}

TEST_CASE("after a crash every VM is taken up, finished or cleaned away", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  const std::string domain = vm.domain_name;

  SECTION("while it ran") {
    appliance.restart();
    AdoptReport report = appliance.service().adopt();
    REQUIRE(report.running.size() == 1);
    CHECK(report.running[0].id == vm.id);
    CHECK(report.cleaned.empty());
    appliance.service().stop(vm.id);
    CHECK(appliance.nothing_left());
  }
  SECTION("at a start, after the export, before the domain") {
    appliance.set_phase(vm.id, Phase::starting);
    appliance.hypervisor().domains.clear();
    appliance.restart();
    CHECK(appliance.service().adopt().cleaned.size() == 1);
    CHECK(appliance.nothing_left());
  }
  SECTION("at a start, after the domain") {
    appliance.set_phase(vm.id, Phase::starting);
    appliance.restart();
    CHECK(appliance.service().adopt().running.size() == 1);
    CHECK(appliance.service().get(vm.id).state == VmState::running);
  }
  SECTION("at a start, before boot.json") {
    // Nothing else is made before it.
    for (const VmDisk& disk : vm.disks) fs::remove(disk.overlay_path);
    for (const std::string& path :
         {appliance.paths(vm.id).domain_path, appliance.paths(vm.id).log_path,
          appliance.paths(vm.id).record_path})
      fs::remove(path);
    appliance.hypervisor().defined.clear();
    appliance.hypervisor().domains.clear();
    appliance.restart();
    CHECK(!appliance.service().adopt().cleaned.empty());
    CHECK(appliance.nothing_left());
  }
  SECTION("at a stop") {
    appliance.set_phase(vm.id, Phase::stopping);
    appliance.restart();
    CHECK(appliance.service().adopt().cleaned.size() == 1);
    CHECK(appliance.nothing_left());
  }
  SECTION("at a stop, when only the run folder was left") {
    fs::remove_all(appliance.paths(vm.id).folder);
    appliance.hypervisor().defined.clear();
    appliance.hypervisor().domains.clear();
    appliance.restart();
    CHECK(appliance.service().adopt().cleaned.size() == 1);
    CHECK(appliance.nothing_left());
  }
  SECTION("when somebody removed its folders, and libvirt still knows it") {
    for (ExportProcess& each : appliance.exports()) each.stop();
    fs::remove_all(appliance.paths(vm.id).folder);
    fs::remove_all(appliance.paths(vm.id).run_folder);
    appliance.hypervisor().domains.clear();
    appliance.restart();
    CHECK(!appliance.service().adopt().cleaned.empty());
    CHECK(appliance.nothing_left());
  }
  SECTION("and the guest had ended meanwhile") {
    appliance.hypervisor().domains.clear();
    appliance.hypervisor().end = DomainEnd::guest;
    appliance.restart();
    AdoptReport report = appliance.service().adopt();
    REQUIRE(report.resting.size() == 1);
    CHECK(report.resting[0].state == VmState::ended);
    CHECK(appliance.exports().empty());
    CHECK(fs::exists(vm.disks[0].overlay_path));
  }
  SECTION("a damaged boot.json is reported, nothing is touched") {
    std::ofstream(appliance.paths(vm.id).record_path) << "{";
    appliance.restart();
    AdoptReport report = appliance.service().adopt();
    CHECK(report.problems.size() == 1);
    CHECK(appliance.hypervisor().domains.contains(domain));
    CHECK(appliance.exports().size() == 1);
  }
}

TEST_CASE("the instant VM of another state folder is listed and left alone", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  InstantVm vm = appliance.start();
  const Phase phase = GENERATE(Phase::starting, Phase::started, Phase::stopping, Phase::kept);
  appliance.set_phase(vm.id, phase);
  CHECK(appliance.service().is_own(vm));
  // As in a copy of /elsewhere: its record names the files there, and the original's domain runs.
  BootRecord record = read_record(base::real_file_system(), appliance.paths(vm.id));
  record.vm.disks.at(0).overlay_path = "/elsewhere/vms/" + vm.id.hex() + "/vda.qcow2";
  write_record(base::real_file_system(), appliance.paths(vm.id), record);
  appliance.restart();

  AdoptReport report = appliance.service().adopt();
  CHECK(report.of_other_nodes.size() == 1);
  CHECK((report.running.empty() && report.resting.empty() && report.interrupted.empty()));
  CHECK(report.cleaned.empty());
  CHECK(appliance.service().tend().empty());
  InstantVm listed = appliance.service().list(access::TenantScope::all()).at(0);
  CHECK_FALSE(appliance.service().is_own(listed));
  CHECK_THAT(listed.problem, Catch::Contains("with its files in /elsewhere/vms/"));
  CHECK_THROWS_WITH(appliance.service().stop(vm.id), Catch::Contains("/elsewhere/vms/"));
  CHECK_THROWS_WITH(appliance.service().power(vm.id, PowerAction::power_off),
                    Catch::Contains("state folder that made it"));
  CHECK(appliance.hypervisor().domains.size() == 1);
  CHECK(appliance.exports().size() == 1);
  CHECK(fs::exists(vm.disks.at(0).overlay_path));
}

TEST_CASE("the instant VM of another node is listed and left alone", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  const access::NodeId elsewhere = access::NodeId::random();
  InstantVm vm = appliance.start();
  const Phase phase = GENERATE(Phase::starting, Phase::started, Phase::stopping, Phase::kept);
  appliance.set_phase(vm.id, phase);
  appliance.set_node(vm.id, elsewhere);
  // Its domain and its export run on its own node.
  for (ExportProcess& each : appliance.exports()) each.stop();
  appliance.hypervisor().domains.clear();
  appliance.hypervisor().defined.clear();
  appliance.restart();
  const BootPaths paths = appliance.paths(vm.id);
  const auto record_bytes = [&] {
    return base::read_file(base::real_file_system(), paths.record_path, 1 << 20);
  };
  const base::Bytes before = record_bytes();

  AdoptReport report = appliance.service().adopt();
  REQUIRE(report.of_other_nodes.size() == 1);
  CHECK(report.of_other_nodes[0].node == elsewhere);
  CHECK((report.running.empty() && report.resting.empty() && report.interrupted.empty()));
  CHECK((report.cleaned.empty() && report.problems.empty()));
  CHECK(appliance.service().tend().empty());
  std::vector<InstantVm> listed = appliance.service().list(access::TenantScope::all());
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].node == elsewhere);
  CHECK((listed[0].state == VmState::running) ==
        (phase == Phase::started || phase == Phase::stopping));
  CHECK_THROWS_WITH(appliance.service().stop(vm.id), Catch::Contains(elsewhere.hex()));
  CHECK_THROWS_WITH(appliance.service().power(vm.id, PowerAction::power_on),
                    Catch::Contains("its own node"));
  CHECK_THROWS_WITH(appliance.service().screenshot(vm.id), Catch::Contains("its own node"));
  CHECK_THROWS_WITH(appliance.service().addresses(vm.id), Catch::Contains("its own node"));
  CHECK_THROWS_WITH(appliance.service().search(vm.id), Catch::Contains("its own node"));
  CHECK(record_bytes() == before);
  CHECK(fs::exists(vm.disks.at(0).overlay_path));
  CHECK(appliance.exports().empty());
  CHECK(appliance.hypervisor().domains.empty());
}

TEST_CASE("a VM that was cut off is started again, one that ended is not", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  FakeHypervisor& hypervisor = appliance.hypervisor();
  BootService& service = appliance.service();
  InstantVm vm = appliance.start();
  CHECK(hypervisor.defined.contains(vm.domain_name));
  CHECK(hypervisor.checkpoints.at(vm.domain_name).disks == std::vector<std::string>{"hda"});
  auto cut_off = [&] {
    hypervisor.domains.clear();
    for (ExportProcess& each : appliance.exports()) each.stop();
    fs::remove_all(appliance.paths(vm.id).run_folder);
    appliance.restart();
  };
  auto fail_until_given_up = [&] {
    for (uint32_t i = 0; i < kMaxFailedRestarts; ++i) {
      BootRecord record = read_record(base::real_file_system(), appliance.paths(vm.id));
      record.next_restart_ms = 0;
      write_record(base::real_file_system(), appliance.paths(vm.id), record);
      appliance.service().tend();
    }
    appliance.service().tend();
  };
  SECTION("after a loss of power") {
    cut_off();
    AdoptReport report = appliance.service().adopt();
    REQUIRE(report.interrupted.size() == 1);
    appliance.service().tend();
    InstantVm again = appliance.service().get(vm.id);
    CHECK(again.state == VmState::running);
    CHECK(again.restart_count == 1);
    CHECK(appliance.exports().size() == 1);
  }
  SECTION("when QEMU alone was killed, under the same daemon") {
    hypervisor.domains.clear();
    hypervisor.end = DomainEnd::crashed;
    service.tend();
    CHECK(service.get(vm.id).state == VmState::running);
  }
  SECTION("not when the guest ended, even if libvirt forgot that afterwards") {
    hypervisor.domains.clear();
    hypervisor.end = DomainEnd::guest;
    service.tend();
    hypervisor.end = DomainEnd::unknown;
    cut_off();
    CHECK(appliance.service().adopt().resting.size() == 1);
    appliance.service().tend();
    CHECK(appliance.service().get(vm.id).state == VmState::ended);
    appliance.service().power(vm.id, PowerAction::power_on);
    CHECK(appliance.service().get(vm.id).state == VmState::running);
  }
  SECTION("not when a person cut the power") {
    service.power(vm.id, PowerAction::power_off);
    service.tend();
    CHECK(service.get(vm.id).state == VmState::ended);
    CHECK(service.get(vm.id).problem.empty());
  }
  SECTION("not when it is to wait, which is a problem that people see") {
    service.change(vm.id, {.restart = RestartPolicy::wait, .timeline = {}});
    cut_off();
    appliance.service().adopt();
    appliance.service().tend();
    CHECK(appliance.service().get(vm.id).state == VmState::ended);
    CHECK_THAT(appliance.service().get(vm.id).problem, Catch::Contains("waits"));
    CHECK(appliance.exports().empty());
  }
  SECTION("a restart that fails is tried again, a bounded number of times") {
    cut_off();
    appliance.service().adopt();
    hypervisor.memory_available = 1ull << 30;
    appliance.service().tend();
    CHECK_THAT(appliance.service().get(vm.id).problem, Catch::Contains("memory"));
    SECTION("with success") {
      hypervisor.memory_available = 64ull << 30;
      appliance.service().tend();
      CHECK(appliance.service().get(vm.id).state == VmState::ended);  // its pause is not over
      fail_until_given_up();
      CHECK(appliance.service().get(vm.id).state == VmState::running);
      CHECK(appliance.service().get(vm.id).problem.empty());
    }
    SECTION("in vain") {
      fail_until_given_up();
      CHECK_THAT(appliance.service().get(vm.id).problem, Catch::Contains("the last"));
      hypervisor.memory_available = 64ull << 30;
      appliance.service().tend();
      CHECK(appliance.service().get(vm.id).state == VmState::ended);
    }
  }
  SECTION("a damaged overlay is refused, and stays as it is") {
    cut_off();
    {
      std::fstream file(vm.disks[0].overlay_path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(40);  // the offset of the active L1 table
      file.write("\0\0\0\0\0\0\2\0", 8);
    }
    appliance.service().adopt();
    appliance.service().tend();
    CHECK(appliance.service().get(vm.id).state == VmState::ended);
    CHECK_THAT(appliance.service().get(vm.id).problem, Catch::Contains("overlay"));
    CHECK(appliance.exports().empty());
  }
  appliance.service().stop(vm.id);
  CHECK(appliance.nothing_left());
}

TEST_CASE("a machine's timeline is held by one instant VM", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Appliance appliance;
  BootOptions options;
  options.macs = MacChoice::fresh;  // one identity is on a network only once
  InstantVm first = appliance.start(options), second = appliance.start(options);
  REQUIRE(appliance.service().timeline_holders(access::TenantScope::all()).size() == 1);
  CHECK(appliance.service().timeline_holders(access::TenantScope::all())[0].id == first.id);
  CHECK(second.timeline == Timeline::production);
  BootChanges take{.restart = {}, .timeline = Timeline::instant};
  CHECK_THROWS_WITH(appliance.service().change(second.id, take), Catch::Contains("holds"));
  appliance.service().stop(first.id, {.keep_overlay = true});
  CHECK(appliance.service().timeline_holders(access::TenantScope::all()).empty());
  appliance.service().change(second.id, take);
  CHECK(appliance.service().timeline_holders(access::TenantScope::all())[0].id == second.id);
  appliance.service().power(first.id, PowerAction::power_on);
  CHECK(appliance.service().get(first.id).timeline == Timeline::production);
}

TEST_CASE("an overlay tells what was written since its start, also after its bitmap broke",
          "[boot]") {
  std::string directory = "/tmp/muletto-overlay-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  std::string path = directory + "/o.qcow2";
  make_overlay(path, directory + "/none.sock", "vda", 64 << 20, Tracking::on);
  CHECK(has_sound_bitmaps(path));
  std::string alone = "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"" +
                      path + "\"},\"backing\":null}";
  base::run_checked(
      {"qemu-io", "-c", "write 1M 4k", "-c", "write -z 5M 1M", "-c", "write 9M 64k", alone});
  rebuild_origin_bitmap(path);
  CHECK(has_sound_bitmaps(path));
  repair_overlay(path);
  // The bitmap, as an NBD client sees it.
  std::string sock = directory + "/b.sock";
  base::Subprocess server({"qemu-nbd", "-r", "-t", "-k", sock, "-B", kOriginBitmap, alone});
  while (!fs::exists(sock)) ::usleep(1000);
  std::string map = base::run_checked({"nbdinfo", "--totals",
                                       "--map=qemu:dirty-bitmap:" + std::string(kOriginBitmap),
                                       "nbd+unix:///?socket=" + sock});
  server.signal(SIGTERM);
  server.wait_for(std::chrono::seconds(10));
  CHECK_THAT(map, Catch::Contains(std::to_string((64 << 10) + (1 << 20) + (64 << 10))));
  fs::remove_all(directory);
}

TEST_CASE("boot.json is read as it was written, and nothing else is", "[boot]") {
  BootRecord record;
  record.phase = Phase::kept;
  record.vm.id = BootId::random();
  record.vm.machine_name = "Büro \"1\"";
  record.vm.disks = {{"vda", "sda", "/o", 5, 0}};
  record.vm.network_cards = {{"52:54:00:00:00:01", NetworkMode::bridge, "br0"}};
  record.vm.notes = {"A note."};
  std::string text = record_to_json(record);
  CHECK(record_to_json(record_from_json(text, "test")) == text);
  for (const char* wrong : {"", "[]", "{}", "{\"version\": 2}"})
    CHECK_THROWS_AS(record_from_json(wrong, "test"), base::Error);
  for (size_t i = 0; i + 2 < text.size(); i += 7)  // it ends with a brace and a line feed
    CHECK_THROWS_AS(record_from_json(text.substr(0, i), "test"), base::Error);
}

TEST_CASE("a record that could not be read again is not written", "[boot]") {
  Appliance appliance;
  BootRecord record;
  record.vm.id = BootId::random();
  BootPaths paths = appliance.paths(record.vm.id);
  fs::create_directories(paths.folder);
  write_record(base::real_file_system(), paths, record);
  BootRecord huge = record;
  huge.vm.notes = {std::string(200'000, '\x01')};  // each becomes six bytes
  CHECK_THROWS_AS(write_record(base::real_file_system(), paths, huge), base::Error);
  CHECK(read_record(base::real_file_system(), paths).vm.notes.empty());
}

TEST_CASE("an instant VM is its tenant's, also one that an older version started", "[boot]") {
  Appliance appliance;
  auto write = [&](const std::string& tenant, const std::string& store) {
    BootRecord record;
    record.vm.id = BootId::random();
    record.vm.machine_name = "web";
    record.vm.tenant = access::TenantName(tenant);
    record.vm.store.location = store;
    record.vm.timeline = Timeline::instant;
    record.phase = Phase::ended;
    BootPaths paths = appliance.paths(record.vm.id);
    fs::create_directories(paths.folder);
    write_record(base::real_file_system(), paths, record);
    return record.vm.id;
  };
  BootId ours = write("default", "/stores/default"), theirs = write("acme", "/moved");
  access::TenantScope acme = access::TenantName("acme");
  BootService& service = appliance.service();
  REQUIRE(service.list(acme).size() == 1);
  CHECK(service.find("web", acme) == theirs);
  CHECK_THROWS_WITH(service.find(ours.hex(), acme), Catch::Contains("no instant VM"));
  CHECK(service.timeline_holders(acme).size() == 1);
  CHECK(service.list(access::TenantScope()).empty());
  CHECK(service.list(access::TenantScope::all()).size() == 2);
  BootId old = write("", "/stores/acme");  // no tenant: found by the store
  CHECK(service.list(acme).size() == 2);
  CHECK(service.get(old).tenant.text() == "acme");
}

}  // namespace appliance::boot
