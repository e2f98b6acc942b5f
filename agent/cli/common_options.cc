#include "agent/cli/common_options.h"

#include <filesystem>

namespace agent::cli {

void declare_common_options(base::options::options_description_easy_init add) {
  using base::options::value;
  add("config", value<std::string>()->value_name("FILE"),
      "file with the settings (default: /etc/muletto/agent.toml)");
  add("state-directory", value<std::string>()->value_name("DIR"),
      "folder of tracking and scratch files, instead of the setting state_directory");
  add("run-directory", value<std::string>()->value_name("DIR"),
      "folder of sockets, instead of the setting run_directory");
  add("libvirt-uri,c", value<std::string>()->value_name("URI"),
      "the libvirt to use, instead of the setting libvirt_uri");
}

Config common_config(const base::Arguments& arguments) {
  Config config = load_config(arguments.get_or<std::string>("config", kConfigPath));
  config.state_directory = arguments.get_or("state-directory", config.state_directory);
  config.run_directory = arguments.get_or("run-directory", config.run_directory);
  config.libvirt_uri = arguments.get_or("libvirt-uri", config.libvirt_uri);
  config.state_directory = std::filesystem::absolute(config.state_directory).string();
  config.run_directory = std::filesystem::absolute(config.run_directory).string();
  return config;
}

}  // namespace agent::cli
