// The settings of mulettod: /etc/muletto/mulettod.toml, overridden by the command line. Values; not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace appliance {

constexpr uint16_t kDefaultPort = 7443;
constexpr std::string_view kDefaultConfigPath = "/etc/muletto/mulettod.toml";

struct ListenAddress {
  std::string host = "0.0.0.0";  // an IPv4 or IPv6 address without brackets
  uint16_t port = kDefaultPort;  // 0: any free one

  std::string text() const;  // "0.0.0.0:7443", "[::]:7443"
};

// "HOST:PORT", "[::]:7443"; port 0 is allowed. Throws invalid_argument.
ListenAddress parse_listen_address(std::string_view text);

struct Config {
  std::string settings_path;  // of the file that was read; empty: none was
  ListenAddress listen;
  // HOST:PORT at which agents reach this appliance; empty: host name and port.
  std::string public_address;
  std::string state_directory = "/var/lib/muletto";
  std::string run_directory = "/run/muletto";
  std::string log_level = "info";
  std::string accelerator = "auto";  // auto (try KVM, fall back), kvm, tcg
  std::string libvirt_uri;           // empty: $LIBVIRT_DEFAULT_URI, or qemu:///system
  std::string tpm_directory = "/var/lib/libvirt/swtpm";  // where libvirt keeps emulated TPMs
  std::string novnc_directory = "/usr/share/novnc";      // for the console page
  std::string page_folder;  // the built page; empty: ../share/muletto/page beside the program
  std::string packages_directory = "/usr/share/muletto/packages";  // that hosts install from here
  uint32_t job_threads = 64;   // concurrent jobs of one lane (appliance/jobs/lanes.h)
  uint32_t sync_sessions = 8;  // concurrent syncs
  uint32_t host_syncs = 2;     // concurrent scheduled syncs per host
  uint64_t reserve = 0;        // bytes of each disk that syncs leave free; 0: depends on its size
  uint64_t host_volume = 0;    // bytes that a host may store in 24 hours; 0: no limit
  std::string restore_directory;     // where restores to this appliance go; empty: STATE/restores
  std::string alert_command;         // started with KIND STATE SUBJECT MESSAGE; empty: none
  std::string alert_webhook;         // a URL that gets each alert as JSON; empty: none
  bool alert_local_targets = false;  // whether channels of the API may reach this machine itself
  uint64_t watch_on_ms = 20'000;     // how long a passed test boot is still observed
  uint64_t chunk_cache_size = 32ull << 20;  // bytes, per open store
  bool make_missing = false;  // --init: create the missing parts of an appliance that existed here
  uint64_t session_idle_ms = 3'600'000;           // a session that is not used ends
  uint64_t session_lifetime_ms = 12 * 3'600'000;  // and any session does
  bool audit_syslog = false;                      // a copy of each entry of the audit log
  uint64_t token_lifetime_ms =
      3'600'000;  // of an enrolment token, unless the operator says otherwise

  // Absolute and normal, checked by validate().
  std::string ballast_path() const { return state_directory + "/ballast"; }
  std::string node_path() const { return state_directory + "/node-id"; }
  std::string setup_code_path() const { return state_directory + "/setup-code"; }
  std::string catalog_path() const { return state_directory + "/catalog.sqlite"; }
  std::string stores_directory() const { return state_directory + "/stores"; }
  std::string pki_directory() const { return state_directory + "/pki"; }
  std::string traces_directory() const { return state_directory + "/traces"; }
  std::string reports_directory() const { return state_directory + "/reports"; }
  std::string boots_directory() const { return state_directory + "/boots"; }
  std::string restores_directory() const {
    return restore_directory.empty() ? state_directory + "/restores" : restore_directory;
  }
  std::string api_socket_path() const { return run_directory + "/api.sock"; }
  std::string ready_path() const { return run_directory + "/mulettod.json"; }
};

// Options from the command line; each one given overrides the file's value.
struct ConfigOverrides {
  std::optional<std::string> state_directory;
  std::optional<std::string> run_directory;
  std::optional<std::string> listen;
  std::optional<std::string> log_level;
  std::optional<std::string> libvirt_uri;
  bool make_missing = false;
};

// Reads TOML. `origin` names the text in errors. An unknown setting, a wrong type or a bad value
// throws invalid_argument with the setting's name and line.
Config parse_config(std::string_view toml, const std::string& origin);

// Reads the file, if it was named or exists at the default path; then applies the overrides; then
// validates.
Config load_config(const std::optional<std::string>& path, const ConfigOverrides& overrides);

}  // namespace appliance
