// The agent's settings: /etc/muletto/agent.toml, every key optional.
//   libvirt = "qemu:///system"
//   state_dir = "/var/lib/muletto-agent"     tracking, scratch files; needs room for what guests
//   overwrite run_dir = "/run/muletto-agent"           sockets threads = 2 compression = 1 zstd, 1
//   to 19 [machines.NAME] domain = "web01"                         its domain, if it is not called
//   NAME exclude_disks = ["vdb"] freeze = true
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
};

struct Config {
  std::string libvirt_uri = "qemu:///system";
  std::string state_directory = "/var/lib/muletto-agent";
  std::string run_directory = "/run/muletto-agent";
  uint32_t thread_count = 2;
  int compression_level = 1;
  std::map<std::string, MachineConfig> machines;
};

constexpr char kConfigPath[] = "/etc/muletto/agent.toml";

// Throws not_found; invalid_argument, naming file and place, for what is not a setting. A missing
// file at kConfigPath is an empty one.
Config load_config(const std::string& path);

}  // namespace agent
