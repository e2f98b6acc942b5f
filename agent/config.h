// The agent's settings: /etc/muletto/agent.toml, every key optional.
//
//   libvirt_uri = "qemu:///system"               empty: this host has no libvirt
//   state_directory = "/var/lib/muletto-agent"   tracking, scratch files: room for what guests overwrite
//   run_directory = "/run/muletto-agent"         sockets
//   tpm_directory = "/var/lib/libvirt/swtpm"     where libvirt keeps emulated TPMs
//   nvram_directory = "/var/lib/libvirt/qemu/nvram"   … and UEFI variables
//   scratch_limit = "20GiB"                a guest may overwrite so much during a sync
//   restores = true                        the appliance may order restores to this host …
//   restore_directories = ["/var/lib/libvirt/images"]   … to these, and to its own machines' disks
//   threads = 2
//   compression = 1                        zstd, 1 to 19
//   [machines.NAME]
//   domain = "web01"                       its domain, if it is not called NAME
//   exclude_disks = ["vdb", "sd*"]         rules: agent/capture.h
//   freeze = true
//   hooks = true                           the guest's freeze hooks report: docs/capture.md
//   raw_tracking = false                   leave QEMU's monitor alone: raw disks are read in full
//   monitor = "/run/qemu-server/101.qmp"   the monitor socket of its QEMU, on hosts without libvirt
//   definition = "/etc/pve/qemu-server/101.conf"   … its definition, or a libvirt domain's XML
//   guest_agent = "/run/qemu-server/101.qga"       … and the socket of its guest agent
//   tpm_state = "/dev/pve/vm-101-disk-2"   … and where swtpm keeps its TPM (its file backend)
//   images = { vda = "/dev/sda" }          a machine that is no domain: its disks
//   image_format = "raw"                   of all, or { vda = "qcow2" }; without it they are raw
//   allow = ["/srv/base"]                  files, or folders, that images outside them build on
//   physical = true                        … but this server itself
//
// The first four had the names libvirt, state_dir, run_dir and tpm_dir before; these are still read.
//
// Values; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace agent {

struct MachineConfig {
  std::string domain;
  std::vector<std::string> exclude_disks;
  bool freeze = true;
  bool hooks = false;
  bool raw_tracking = true;
  std::string monitor, definition, guest_agent, tpm_state;  // agent/monitor/monitored_machine.h
  std::map<std::string, std::string> images;  // disk: image file; then the machine is no domain
  std::string image_format;                   // of those without one of their own; empty: raw
  std::map<std::string, std::string> image_formats;  // disk: format
  std::vector<std::string> allow;                    // images/sources/image_chain.h
  bool physical = false;                             // this server itself; `images` are its disks
};

struct Config {
  std::string libvirt_uri = "qemu:///system";
  std::string state_directory = "/var/lib/muletto-agent";
  std::string run_directory = "/run/muletto-agent";
  std::string tpm_directory = "/var/lib/libvirt/swtpm";
  std::string nvram_directory = "/var/lib/libvirt/qemu/nvram";
  bool restores = true;
  // Folders with everything below, files, or devices ("/dev/vg0"): agent/homeward/permissions.h.
  std::vector<std::string> restore_directories{"/var/lib/libvirt/images"};
  uint64_t scratch_limit = 0;  // bytes; 0: none
  uint32_t thread_count = 2;
  int compression_level = 1;
  std::map<std::string, MachineConfig> machines;
};

constexpr char kConfigPath[] = "/etc/muletto/agent.toml";

// Throws not_found; invalid_argument, naming file and line, for unknown or invalid settings. A
// missing file at kConfigPath counts as an empty one.
Config load_config(const std::string& path);

}  // namespace agent
