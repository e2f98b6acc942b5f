#include "agent/cli/common_options.h"

#include <filesystem>

namespace agent::cli {

void declare_common_options(base::options::options_description_easy_init add) {
  using base::options::value;
  add("config", value<std::string>()->value_name("FILE"),
      "settings, instead of /etc/muletto/agent.toml");
  add("state-dir", value<std::string>()->value_name("DIR"),
      "tracking and scratch files, instead of the config's");
  add("run-dir", value<std::string>()->value_name("DIR"), "sockets, instead of the config's");
  add("connect,c", value<std::string>()->value_name("URI"),
      "the libvirt to use, instead of the config's");
}

Config common_config(const base::Arguments& arguments) {
  Config config = load_config(arguments.get_or<std::string>("config", kConfigPath));
  config.state_directory = arguments.get_or("state-dir", config.state_directory);
  config.run_directory = arguments.get_or("run-dir", config.run_directory);
  config.libvirt_uri = arguments.get_or("connect", config.libvirt_uri);
  config.state_directory = std::filesystem::absolute(config.state_directory).string();
  config.run_directory = std::filesystem::absolute(config.run_directory).string();
  return config;
}

}  // namespace agent::cli
