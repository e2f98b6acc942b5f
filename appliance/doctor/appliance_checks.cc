#include "appliance/doctor/appliance_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "appliance/boot/host/accelerator_trial.h"
#include "base/certificates.h"
#include "base/doctor/libvirt_machines.h"
#include "base/doctor/machine.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/mount_points.h"
#include "base/private_file.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace appliance::doctor {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::ErrorCode;
using base::doctor::Check;
using base::doctor::Finding;
using base::doctor::Outcome;

using Findings = std::vector<Finding>;

constexpr auto kCommandPatience = std::chrono::seconds(15);
constexpr const char* kStart = "systemctl start mulettod";
constexpr size_t kMaxReadyFile = 4096;

// What the running daemon has written about itself.
struct Daemon {
  std::optional<uint64_t> pid;  // of a process that lives and is mulettod
  std::string version;
  uint64_t port = 0;
};

Daemon find_daemon(const Config& config) {
  Daemon daemon;
  std::error_code ignored;
  if (!fs::exists(config.ready_path(), ignored)) return daemon;
  auto content = base::find_json(base::read_private_file(config.ready_path(), kMaxReadyFile));
  if (!content) return daemon;
  auto pid = base::find_natural(*content, "pid");
  if (!pid) return daemon;
  std::ifstream name(fmt::format("/proc/{}/comm", *pid));
  std::string comm;
  std::getline(name, comm);
  if (comm != "mulettod") return daemon;
  daemon.pid = pid;
  daemon.version = base::find_text(*content, "version").value_or("");
  daemon.port = base::find_natural(*content, "port").value_or(0);
  return daemon;
}

Findings look_at_daemon(const Config& config) {
  Daemon daemon = find_daemon(config);
  if (!daemon.pid)
    return {{Outcome::fail, "mulettod",
             fmt::format("does not run with the run folder {}", config.run_directory),
             fmt::format("{}; if it fails, see 'journalctl -u mulettod -n 20'", kStart)}};
  if (daemon.version != MULETTO_VERSION)
    return {
        {Outcome::warn, "mulettod",
         fmt::format("runs as version {}, and {} is installed", daemon.version, MULETTO_VERSION),
         "systemctl restart mulettod; instant VMs keep running"}};
  return {{Outcome::ok, "mulettod", fmt::format("runs as version {}", daemon.version), ""}};
}

Findings look_at_accelerator(const Config& config) {
  if (config.accelerator == "tcg")
    return {{Outcome::warn, "KVM", "boot.accelerator is tcg: VMs are emulated, which is slow", ""}};
  base::ScratchDirectory scratch("/tmp", "muletto-doctor");
  boot::AcceleratorVerdict verdict = boot::try_kvm(scratch.path());
  std::string found = verdict.reason;
  if (found.ends_with('.')) found.pop_back();
  if (verdict.accelerator == boot::Accelerator::kvm) return {{Outcome::ok, "KVM", found, ""}};
  return {
      {config.accelerator == "kvm" ? Outcome::fail : Outcome::warn, "KVM",
       found + ", so VMs are emulated, which is slow",
       "switch virtualization on in the firmware (VT-x, AMD-V), or nested virtualization on where "
       "this machine runs; then 'modprobe kvm_intel' or 'modprobe kvm_amd'"}};
}

std::string libvirt_uri_of(const Config& config) {
  if (!config.libvirt_uri.empty()) return config.libvirt_uri;
  const char* uri = std::getenv("LIBVIRT_DEFAULT_URI");
  return uri == nullptr ? "qemu:///system" : uri;
}

// Loads the plugin, as an export does.
Findings look_at_nbdkit() {
  std::string plugin = images::default_plugin_path();
  base::CommandResult result;
  try {
    result = base::run_command({"nbdkit", "--dump-plugin", plugin}, kCommandPatience);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return {{Outcome::fail, "nbdkit", "is not installed", "apt install nbdkit"}};
  }
  if (result.status != 0)
    return {{Outcome::fail, "nbdkit",
             "it cannot load the plugin: " + base::trim(result.errors.substr(0, 200)),
             "apt install --reinstall muletto-nbdkit-plugin"}};
  return {{Outcome::ok, "nbdkit", "loads " + plugin, ""}};
}

Findings look_at_files(const Config& config) {
  Findings found;
  auto file = [&](const std::string& subject, const std::string& path, const std::string& remedy) {
    if (::access(path.c_str(), R_OK) == 0) found.push_back({Outcome::ok, subject, path, ""});
    else found.push_back({Outcome::warn, subject, path + " cannot be read", remedy});
  };
  file("UEFI firmware", "/usr/share/OVMF/OVMF_CODE_4M.fd", "apt install ovmf");
  file("console page", config.novnc_directory + "/core/rfb.js", "apt install novnc");
  return found;
}

std::string text_of(const std::string& path) {
  return std::string(base::as_text(base::read_to_end(path, 1 << 20)));
}

// The folder that exists at or above the state folder: before the first start there is none.
std::string existing_above(std::string path) {
  while (!fs::exists(path)) path = base::parent_path(path);
  return path;
}

Findings look_at_state(const Config& config) {
  std::string fstab = fs::exists("/etc/fstab") ? text_of("/etc/fstab") : "";
  auto away = base::unmounted_above(config.state_directory, fstab, text_of("/proc/self/mounts"));
  if (away)
    return {{Outcome::fail, "state folder",
             fmt::format("nothing is mounted at {}, though /etc/fstab lists it", *away),
             "mount " + *away}};
  if (!fs::exists(config.catalog_path())) {
    if (fs::exists(config.pki_directory()))
      return {{Outcome::fail, "state folder",
               config.state_directory + " has keys of an appliance, but no catalog",
               "docs/operations.md, 'The appliance itself is lost'"}};
    return {{Outcome::warn, "state folder",
             config.state_directory + " has no appliance yet: the first start makes one", kStart}};
  }
  return {{Outcome::ok, "state folder", config.state_directory, ""}};
}

// The stores in their usual folders. The catalog, which only the daemon reads, knows those elsewhere.
Findings look_at_stores(const Config& config) {
  Findings found;
  std::error_code error;
  for (const auto& each : fs::directory_iterator(config.stores_directory(), error)) {
    std::string marker = each.path() / "store", name = each.path().filename();
    std::ifstream file(marker);
    char magic[8] = {};
    file.read(magic, sizeof magic);
    if (std::string_view(magic, sizeof magic) == "MULSTORE")
      found.push_back({Outcome::ok, "store", name + " has its marker", ""});
    else
      found.push_back({Outcome::fail, "store", fmt::format("{} is missing or is no marker", marker),
                       "mount the store's disk, or see docs/presence.md"});
  }
  if (error && fs::exists(config.catalog_path()))
    return {{Outcome::fail, "store",
             fmt::format("{} cannot be listed: {}", config.stores_directory(), error.message()),
             "mount its disk"}};
  if (found.empty())
    found.push_back({Outcome::warn, "store", "there is none in " + config.stores_directory(),
                     "one that was adopted elsewhere is shown by 'muletto tenant list'"});
  return found;
}

// A machine that runs here, and the store that is to survive it, on one disk or array.
Findings look_at_shared_disks(const Config& config) {
  std::set<std::string> own =
      base::doctor::physical_disks_of(existing_above(config.state_directory));
  Findings found;
  for (const auto& machine : base::doctor::libvirt_machines(libvirt_uri_of(config))) {
    if (machine.name.starts_with("muletto-")) continue;
    for (const std::string& path : machine.disks) {
      std::set<std::string> shared;
      for (const std::string& disk : base::doctor::physical_disks_of(path))
        if (own.count(disk) != 0) shared.insert(disk);
      if (shared.empty()) continue;
      found.push_back(
          {Outcome::fail, "shared disk",
           fmt::format("the machine {} and the stores are both on {}: what takes one takes "
                       "the other",
                       machine.name, fmt::join(shared, ", ")),
           "put the stores on disks of their own: state_directory in mulettod.toml"});
      break;
    }
  }
  if (found.empty())
    found.push_back({Outcome::ok, "shared disk",
                     fmt::format("no machine of libvirt here is on {}, as the stores are",
                                 fmt::join(own, ", ")),
                     ""});
  return found;
}

Findings look_at_certificates(const Config& config) {
  if (!fs::exists(config.pki_directory()))
    return {
        {Outcome::warn, "certificates", "there are none yet: the first start makes them", kStart}};
  Findings found;
  for (auto [file, subject, remedy] :
       {std::tuple{"ca.crt", "authority's certificate", "docs/operations.md, 'Certificates'"},
        std::tuple{"server.crt", "server's certificate",
                   "systemctl restart mulettod makes a new one"}})
    found.push_back(base::doctor::look_at_certificate(
        base::read_private_file(base::join_path(config.pki_directory(), file), base::kMaxPemSize),
        subject, remedy, base::now_ms()));
  return found;
}

Findings look_at_port(const Config& config) {
  Daemon daemon = find_daemon(config);
  std::string owner;
  if (daemon.pid && (config.listen.port == 0 || daemon.port == config.listen.port))
    owner = fmt::format("mulettod (pid {})", *daemon.pid);
  return {base::doctor::look_at_port(config.listen.host, config.listen.port, owner)};
}

std::string public_host(const Config& config) {
  return config.public_address.empty() ? "" : parse_listen_address(config.public_address).host;
}

}  // namespace

std::vector<Check> appliance_checks(const Config& config) {
  using namespace base::doctor;
  auto one = [](Finding finding) { return Findings{std::move(finding)}; };
  auto program = [one](const char* name, const char* package) {
    return Check{name, [=] { return one(look_at_program(name, package)); }};
  };
  std::string state = config.state_directory;
  return {
      {"mulettod", [=] { return look_at_daemon(config); }},
      {"KVM", [=] { return look_at_accelerator(config); }},
      program("qemu-system-x86_64", "qemu-system-x86"),
      program("qemu-img", "qemu-utils"),
      {"libvirt", [=] { return one(look_at_libvirt(libvirt_uri_of(config))); }},
      {"nbdkit", look_at_nbdkit},
      program("tesseract", "tesseract-ocr"),
      {"files", [=] { return look_at_files(config); }},
      {"state folder", [=] { return look_at_state(config); }},
      {"store", [=] { return look_at_stores(config); }},
      {"free space", [=] { return one(look_at_space(existing_above(state))); }},
      {"disk speed", [=] { return look_at_disk_speed(existing_above(state)); }},
      {"shared disk", [=] { return look_at_shared_disks(config); }},
      {"time",
       [=] {
         return look_at_clock({config.catalog_path(), "/etc/os-release"});
       }},
      {"names", [=] { return look_at_names(public_host(config)); }},
      {"port", [=] { return look_at_port(config); }},
      {"firewall", [=] { return one(look_at_firewall(config.listen.port)); }},
      {"MTU", look_at_mtu},
      {"certificates", [=] { return look_at_certificates(config); }},
  };
}

}  // namespace appliance::doctor
