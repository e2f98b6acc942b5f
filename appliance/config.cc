#include "appliance/config.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kMaxConfigSize = 1 << 20;  // bytes

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorCode::invalid_argument, problem);
}

std::string text_of(const toml::node& node, const std::string& name) {
  auto value = node.value<std::string>();
  if (!node.is_string() || !value) refuse(fmt::format("{} must be a string in quotes", name));
  return *value;
}

bool flag_of(const toml::node& node, const std::string& name) {
  auto value = node.value<bool>();
  if (!node.is_boolean() || !value) refuse(fmt::format("{} must be true or false", name));
  return *value;
}

uint32_t count_of(const toml::node& node, const std::string& name, uint32_t max) {
  auto value = node.value<int64_t>();
  if (!node.is_integer() || !value || *value < 1 || *value > max) {
    refuse(fmt::format("{} must be a whole number from 1 to {}", name, max));
  }
  return static_cast<uint32_t>(*value);
}

// A span of at least a minute, so that a mistyped unit does not sign everybody out at once.
uint64_t session_time_of(const toml::node& node, const std::string& name) {
  constexpr uint64_t kShortest = 60'000, kLongest = 90ull * 86'400'000;
  uint64_t time_ms = base::parse_duration_ms(text_of(node, name));
  if (time_ms < kShortest || time_ms > kLongest)
    refuse(fmt::format("{} must be from 1m to 90d", name));
  return time_ms;
}

using Setter = std::function<void(Config&, const toml::node&, const std::string&)>;

Setter text_into(std::string Config::*member) {
  return [member](Config& config, const toml::node& node, const std::string& name) {
    config.*member = text_of(node, name);
  };
}

// All settings; appliance/dist/mulettod.toml explains them.
const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> kSetters{
      {"listen",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.listen = parse_listen_address(text_of(node, name));
       }},
      {"public_address", text_into(&Config::public_address)},
      {"state_directory", text_into(&Config::state_directory)},
      {"run_directory", text_into(&Config::run_directory)},
      {"log_level", text_into(&Config::log_level)},
      {"boot.accelerator", text_into(&Config::accelerator)},
      {"boot.libvirt_uri", text_into(&Config::libvirt_uri)},
      {"boot.tpm_directory", text_into(&Config::tpm_directory)},
      {"console.novnc_directory", text_into(&Config::novnc_directory)},
      {"page.folder", text_into(&Config::page_folder)},
      {"agents.packages_directory", text_into(&Config::packages_directory)},
      {"limits.job_threads",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.job_threads = count_of(node, name, 64);
       }},
      {"limits.sync_sessions",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.sync_sessions = count_of(node, name, 256);
       }},
      {"limits.host_syncs",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.host_syncs = count_of(node, name, 64);
       }},
      {"limits.reserve",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.reserve = base::parse_size(text_of(node, name));
       }},
      {"limits.host_volume",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.host_volume = base::parse_size(text_of(node, name));
       }},
      {"restore.directory", text_into(&Config::restore_directory)},
      {"alerts.command", text_into(&Config::alert_command)},
      {"alerts.webhook", text_into(&Config::alert_webhook)},
      {"alerts.local_targets",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.alert_local_targets = flag_of(node, name);
       }},
      {"limits.chunk_cache",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.chunk_cache_size = base::parse_size(text_of(node, name));
       }},
      {"verification.watch_on",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.watch_on_ms = base::parse_duration_ms(text_of(node, name));
       }},
      {"tokens.lifetime",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.token_lifetime_ms = base::parse_duration_ms(text_of(node, name));
       }},
      {"sessions.idle",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.session_idle_ms = session_time_of(node, name);
       }},
      {"sessions.lifetime",
       [](Config& config, const toml::node& node, const std::string& name) {
         config.session_lifetime_ms = session_time_of(node, name);
       }},
      {"audit.syslog", [](Config& config, const toml::node& node,
                          const std::string& name) { config.audit_syslog = flag_of(node, name); }},
  };
  return kSetters;
}

void apply_table(Config& config, const toml::table& table, const std::string& prefix,
                 const std::string& origin) {
  for (const auto& [key, node] : table) {
    std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      apply_table(config, *inner, name + ".", origin);
      continue;
    }
    std::string place = fmt::format("{}, line {}", origin, node.source().begin.line);
    auto setter = setters().find(name);
    if (setter == setters().end()) refuse(fmt::format("{}: there is no setting '{}'", place, name));
    try {
      setter->second(config, node, name);
    } catch (const Error& error) {
      throw error.with_context(place);
    }
  }
}

std::string absolute_directory(const std::string& path, std::string_view what) {
  if (path.empty()) refuse(fmt::format("the {} is empty", what));
  std::string normal = std::filesystem::absolute(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// The same choice as that of libvirt's own tools.
std::string default_libvirt_uri() {
  const char* variable = std::getenv("LIBVIRT_DEFAULT_URI");
  return variable != nullptr && *variable != '\0' ? variable : "qemu:///system";
}

void validate(Config& config) {
  if (config.libvirt_uri.empty()) config.libvirt_uri = default_libvirt_uri();
  config.state_directory = absolute_directory(config.state_directory, "state directory");
  config.run_directory = absolute_directory(config.run_directory, "run directory");
  if (!config.restore_directory.empty())
    config.restore_directory = absolute_directory(config.restore_directory, "restore directory");
  constexpr size_t kMaxSocketPath = 107;  // sun_path, without its final zero: unix(7)
  if (config.api_socket_path().size() > kMaxSocketPath) {
    refuse(
        fmt::format("the run directory {} is too long: a unix socket's path has at most {} bytes",
                    config.run_directory, kMaxSocketPath));
  }
  static constexpr std::array<std::string_view, 3> kAccelerators{"auto", "kvm", "tcg"};
  if (std::find(kAccelerators.begin(), kAccelerators.end(), config.accelerator) ==
      kAccelerators.end()) {
    refuse(fmt::format("boot.accelerator must be auto, kvm or tcg, not '{}'", config.accelerator));
  }
}

}  // namespace

std::string ListenAddress::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

ListenAddress parse_listen_address(std::string_view text) {
  size_t colon = text.rfind(':');
  ListenAddress address;
  if (colon == std::string_view::npos || colon == 0) {
    refuse(fmt::format("'{}' is not HOST:PORT; write it like 0.0.0.0:7443", text.substr(0, 80)));
  }
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  auto result = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (result.ec != std::errc() || result.ptr != port.data() + port.size()) {
    refuse(fmt::format("'{}' is not a port; choose 0 to 65535", port.substr(0, 80)));
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  address.host = std::string(host);
  return address;
}

Config parse_config(std::string_view toml, const std::string& origin) {
  std::string obstacle = base::toml_obstacle(toml);
  if (!obstacle.empty()) refuse(fmt::format("{}: {}", origin, obstacle));
  toml::table table;
  try {
    table = toml::parse(toml, origin);
  } catch (const toml::parse_error& error) {
    refuse(fmt::format("{}, line {}: {}", origin, error.source().begin.line, error.description()));
  }
  Config config;
  apply_table(config, table, "", origin);
  validate(config);
  return config;
}

Config load_config(const std::optional<std::string>& path, const ConfigOverrides& overrides) {
  base::FileSystem& files = base::real_file_system();
  std::string source = path.value_or(std::string(kDefaultConfigPath));
  Config config;
  if (path || files.exists(source)) {
    base::Bytes bytes = base::read_file(files, source, kMaxConfigSize);
    config = parse_config(base::as_text(bytes), source);
    config.settings_path = source;
  }
  if (overrides.state_directory) config.state_directory = *overrides.state_directory;
  if (overrides.run_directory) config.run_directory = *overrides.run_directory;
  if (overrides.listen) config.listen = parse_listen_address(*overrides.listen);
  if (overrides.log_level) config.log_level = *overrides.log_level;
  if (overrides.libvirt_uri) config.libvirt_uri = *overrides.libvirt_uri;
  config.make_missing = overrides.make_missing;
  validate(config);
  return config;
}

}  // namespace appliance
