// A boot service for tests, with real exports and overlays of one small machine, 'invoices', and a
// hypervisor in memory. Everything lies in a folder of its own, which ends with it. One thread.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/model/boot_record.h"
#include "images/export/export_process.h"
#include "tests/appliance/boot/fake_hypervisor.h"
#include "tests/appliance/boot/file_store.h"

namespace appliance::boot {

class Appliance {
 public:
  Appliance() : directory_(make_directory()), store_("invoices", {}) {
    std::ofstream(image()) << std::string(512, 'x');
    std::filesystem::resize_file(image(), 1 << 20);
    store_.add_disk("vda", image());
    restart();
  }
  ~Appliance() {
    for (images::ExportProcess& each : exports()) each.stop();
    service_.reset();
    std::filesystem::remove_all(directory_);
  }

  void restart() { service_.emplace(settings(), hypervisor_); }
  BootService& service() { return *service_; }
  FakeHypervisor& hypervisor() { return hypervisor_; }
  InstantVm start(const BootOptions& options = {}) {
    PointSource source;
    source.reader = &store_;
    source.store.location = "/nowhere";
    if (is_known_damaged) source.damaged_points[store_.point().id] = 1;
    return service_->start(source, store_.point().id, options);
  }
  bool is_known_damaged = false;  // a check of the store said so
  BootPaths paths(const BootId& id) {
    return boot_paths(directory_ + "/state", directory_ + "/run", id);
  }
  std::vector<images::ExportProcess> exports() {
    return images::ExportProcess::find_below(directory_ + "/run/vms");
  }
  bool nothing_left() {
    return std::filesystem::is_empty(directory_ + "/state/vms") &&
           std::filesystem::is_empty(directory_ + "/run/vms") && exports().empty() &&
           hypervisor_.domains.empty() && hypervisor_.defined.empty();
  }
  void set_node(const BootId& id, const access::NodeId& node) {
    BootRecord record = read_record(base::real_file_system(), paths(id));
    record.vm.node = node;
    write_record(base::real_file_system(), paths(id), record);
  }
  void set_phase(const BootId& id, Phase phase) {
    BootRecord record = read_record(base::real_file_system(), paths(id));
    record.phase = phase;
    write_record(base::real_file_system(), paths(id), record);
  }

 private:
  static std::string make_directory() {
    std::string path = "/tmp/muletto-boot-XXXXXX";
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    std::filesystem::create_directory(path + "/state");
    std::filesystem::create_directory(path + "/run");
    return path;
  }
  std::string image() const { return directory_ + "/disk.img"; }
  BootSettings settings() {
    BootSettings settings;
    settings.state_directory = directory_ + "/state";
    settings.run_directory = directory_ + "/run";
    settings.accelerator = Accelerator::tcg;
    settings.export_command = {"file", image()};
    settings.tenant_of_store = [](const std::string& store_directory) {
      return access::TenantName(store_directory == "/stores/acme" ? "acme" : "default");
    };
    return settings;
  }

  std::string directory_;
  FileStore store_;
  FakeHypervisor hypervisor_;
  std::optional<BootService> service_;
};

constexpr const char* kNeedsRoot = "it needs root: QEMU's files are given to another user";

}  // namespace appliance::boot
