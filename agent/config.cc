#include "agent/config.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace agent {
namespace {

constexpr uint64_t kMaxConfigSize = 1u << 20;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw base::Error(base::ErrorCode::invalid_argument, path + ": " + why);
}

// The table's value of that name, or `fallback` when it has none.
template <typename T>
T value_of(const toml::table& table, const char* name, T fallback, const std::string& path) {
  const toml::node* node = table.get(name);
  if (node == nullptr) return fallback;
  auto value = node->value_exact<T>();
  if (!value)
    refuse(path, fmt::format("line {}: the value of '{}' has the wrong type",
                             node->source().begin.line, name));
  return *value;
}

template <size_t kCount>
void refuse_unknown(const toml::table& table, const std::array<std::string_view, kCount>& known,
                    const std::string& path) {
  for (const auto& [key, node] : table) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    refuse(path,
           fmt::format("line {}: there is no setting '{}'", node.source().begin.line, key.str()));
  }
}

std::map<std::string, std::string> words_by_disk(const toml::table& table, const char* name,
                                                 const char* example, const std::string& path) {
  std::map<std::string, std::string> words;
  const toml::node* node = table.get(name);
  if (node == nullptr) return words;
  if (!node->is_table()) refuse(path, fmt::format("{} is a table: {}", name, example));
  for (const auto& [disk, word] : *node->as_table()) {
    if (!word.is_string()) refuse(path, fmt::format("{} is a table: {}", name, example));
    words[std::string(disk.str())] = word.ref<std::string>();
  }
  return words;
}

std::vector<std::string> list_of_words(const toml::table& table, const char* name, const char* what,
                                       const std::string& path) {
  std::vector<std::string> words;
  const toml::node* node = table.get(name);
  if (node == nullptr) return words;
  if (!node->is_array()) refuse(path, fmt::format("{} is a list of {}", name, what));
  for (const toml::node& word : *node->as_array()) {
    if (!word.is_string()) refuse(path, fmt::format("{} is a list of {}", name, what));
    words.push_back(word.ref<std::string>());
  }
  return words;
}

MachineConfig parse_machine(const toml::table& table, const std::string& path) {
  static constexpr std::array<std::string_view, 13> kKnown{
      "allow", "definition", "guest_agent",  "monitor",  "domain",       "exclude_disks", "freeze",
      "hooks", "images",     "image_format", "physical", "raw_tracking", "tpm_state"};
  refuse_unknown(table, kKnown, path);
  MachineConfig machine;
  machine.domain = value_of<std::string>(table, "domain", "", path);
  machine.freeze = value_of<bool>(table, "freeze", true, path);
  machine.monitor = value_of<std::string>(table, "monitor", "", path);
  machine.definition = value_of<std::string>(table, "definition", "", path);
  machine.guest_agent = value_of<std::string>(table, "guest_agent", "", path);
  machine.tpm_state = value_of<std::string>(table, "tpm_state", "", path);
  if (machine.monitor.empty() &&
      !(machine.definition + machine.guest_agent + machine.tpm_state).empty())
    refuse(path, "definition, guest_agent and tpm_state are of a machine with a monitor");
  machine.hooks = value_of<bool>(table, "hooks", false, path);
  machine.raw_tracking = value_of<bool>(table, "raw_tracking", true, path);
  machine.physical = value_of<bool>(table, "physical", false, path);
  const toml::node* format = table.get("image_format");
  if (format != nullptr && format->is_table())
    machine.image_formats = words_by_disk(table, "image_format", "{ vda = \"qcow2\" }", path);
  else machine.image_format = value_of<std::string>(table, "image_format", "", path);
  machine.images = words_by_disk(table, "images", "{ vda = \"/path/to/image\" }", path);
  for (const auto& [disk, word] : machine.image_formats) {
    if (!machine.images.contains(disk))
      refuse(path, fmt::format("image_format names the disk {}, which is not in images", disk));
  }
  machine.exclude_disks = list_of_words(table, "exclude_disks", "names", path);
  machine.allow = list_of_words(table, "allow", "files", path);
  return machine;
}

// A setting that had another name before, which is still read.
std::string renamed_value(const toml::table& table, const char* name, const char* old_name,
                          const std::string& fallback, const std::string& path) {
  if (table.contains(name) && table.contains(old_name)) {
    refuse(path,
           fmt::format("'{}' is the old name of '{}': remove one of the two", old_name, name));
  }
  const char* given = table.contains(old_name) ? old_name : name;
  return value_of<std::string>(table, given, fallback, path);
}

Config parse(const toml::table& table, const std::string& path) {
  // Other parts of the agent have tables of their own here.
  static constexpr std::array<std::string_view, 16> kKnown{
      "libvirt_uri",     "state_directory", "run_directory", "tpm_directory",
      "nvram_directory", "threads",         "compression",   "machines",
      "appliance",       "scratch_limit",   "libvirt",       "state_dir",
      "run_dir",         "tpm_dir",         "restores",      "restore_directories"};
  refuse_unknown(table, kKnown, path);
  Config config;
  config.libvirt_uri = renamed_value(table, "libvirt_uri", "libvirt", config.libvirt_uri, path);
  config.state_directory =
      renamed_value(table, "state_directory", "state_dir", config.state_directory, path);
  config.run_directory =
      renamed_value(table, "run_directory", "run_dir", config.run_directory, path);
  config.tpm_directory =
      renamed_value(table, "tpm_directory", "tpm_dir", config.tpm_directory, path);
  config.nvram_directory =
      value_of<std::string>(table, "nvram_directory", config.nvram_directory, path);
  config.restores = value_of<bool>(table, "restores", true, path);
  if (table.contains("restore_directories")) {
    config.restore_directories = list_of_words(table, "restore_directories", "folders", path);
    for (const std::string& folder : config.restore_directories) {
      if (!folder.starts_with('/'))
        refuse(path, "restore_directories are absolute paths, not '" + folder + "'");
    }
  }
  if (table.contains("scratch_limit")) {
    try {
      config.scratch_limit =
          base::parse_size(value_of<std::string>(table, "scratch_limit", "", path));
    } catch (const base::Error& error) {
      refuse(path, "scratch_limit: " + error.message());
    }
  }
  auto thread_count = value_of<int64_t>(table, "threads", config.thread_count, path);
  if (thread_count < 1 || thread_count > 14) refuse(path, "threads is 1 to 14");
  config.thread_count = static_cast<uint32_t>(thread_count);
  auto level = value_of<int64_t>(table, "compression", config.compression_level, path);
  if (level < 1 || level > 19) refuse(path, "compression is 1 to 19");
  config.compression_level = static_cast<int>(level);
  if (const toml::node* machines = table.get("machines")) {
    if (!machines->is_table()) refuse(path, "machines must be a table of tables");
    for (const auto& [name, node] : *machines->as_table()) {
      if (!node.is_table()) refuse(path, "machines must be a table of tables");
      config.machines[std::string(name.str())] = parse_machine(*node.as_table(), path);
    }
  }
  return config;
}

}  // namespace

Config load_config(const std::string& path) {
  base::FileSystem& files = base::real_file_system();
  if (path == kConfigPath && !files.exists(path)) return {};
  base::Bytes bytes = base::read_file(files, path, kMaxConfigSize);
  std::string obstacle = base::toml_obstacle(base::as_text(bytes));
  if (!obstacle.empty()) refuse(path, obstacle);
  try {
    return parse(toml::parse(base::as_text(bytes), path), path);
  } catch (const toml::parse_error& error) {
    refuse(path, fmt::format("line {}: {}", error.source().begin.line, error.description()));
  }
}

}  // namespace agent
