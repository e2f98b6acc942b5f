#include <filesystem>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/daemon/service.h"

namespace agent::cli {
namespace {

int run_run(const base::Arguments& arguments, std::stop_token stop) {
  Config config = common_config(arguments);
  std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  daemon::ServiceCommands commands{
      {program, "sync", "--quiet"}, {program, "forget"}, {program, "restore"}};
  auto forward = [&](const char* option, const std::string& value) {
    for (auto* command : {&commands.sync, &commands.forget, &commands.restore}) {
      command->push_back(option);
      command->push_back(value);
    }
  };
  if (arguments.has("config"))
    forward("--config", std::filesystem::absolute(arguments.get("config")).string());
  forward("--state-directory", config.state_directory);
  forward("--run-directory", config.run_directory);
  forward("--libvirt-uri", config.libvirt_uri);
  daemon::run_service(config, commands, stop);
  return 0;
}

}  // namespace

base::Command run_command(std::stop_token stop) {
  base::Command command;
  command.name = "run";
  command.summary =
      "Run as a service: report this host's machines, and sync them when the appliance says so";
  command.declare_options = declare_common_options;
  command.notes =
      "Runs until it gets SIGTERM; muletto-agent.service starts it. The appliance decides which "
      "machine is synced when: see 'muletto policy' and 'muletto machine protect'.";
  command.run = [stop](const base::Arguments& arguments) { return run_run(arguments, stop); };
  return command;
}

}  // namespace agent::cli
