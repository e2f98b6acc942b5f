#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/libvirt/forget_domain.h"
#include "agent/monitor/monitored_machine.h"
#include "agent/state_layout.h"
#include "base/json_access.h"
#include "base/text.h"

namespace agent::cli {
namespace {

int run_forget(const base::Arguments& arguments) {
  Config config = common_config(arguments);
  std::string name = arguments.get("MACHINE");
  base::check_name(name, "machine's name");
  make_agent_directories(config.state_directory, config.run_directory);
  CaptureSettings settings;
  settings.machine_name = name;
  settings.state_directory = config.state_directory;
  settings.run_directory = config.run_directory;
  const std::string& of_settings = config.machines[name].domain;
  std::string domain = arguments.get_or("domain", of_settings.empty() ? name : of_settings);
  MachineLock lock(config.state_directory, name);
  const MachineConfig& machine = config.machines[name];
  std::vector<std::string> removed;
  bool is_domain = arguments.has("domain") || (machine.images.empty() && !machine.physical);
  if (is_domain && (machine.monitor.empty() || arguments.has("domain"))) {
    removed = libvirt::forget_domain(config.libvirt_uri, domain, lock, settings);
  } else if (is_domain) {
    removed = monitor::forget_machine({machine.monitor, machine.guest_agent, machine.definition},
                                      {name, config.state_directory, config.run_directory});
  }  // else: syncs of image files and of this server keep nothing
  if (arguments.json()) {
    fmt::print("{}\n", base::dump_text(nlohmann::json{{"machine", name}, {"removed", removed}}, 2));
    return 0;
  }
  if (removed.empty()) fmt::print("{}: there is nothing of it on this host\n", name);
  for (const std::string& what : removed) fmt::print("{}: removed {}\n", name, what);
  return 0;
}

}  // namespace

base::Command forget_command() {
  base::Command command;
  command.name = "forget";
  command.summary = "Remove what syncs of a machine keep on this host: checkpoints and bitmaps";
  command.positional = {"MACHINE"};
  command.declare_options = [](base::options::options_description_easy_init add) {
    using base::options::value;
    add("domain", value<std::string>()->value_name("DOMAIN"),
        "name or UUID of the libvirt domain (default: MACHINE)");
    declare_common_options(add);
  };
  command.notes =
      "libvirt refuses to undefine a domain that has checkpoints, and to make offline snapshots of "
      "it. This removes those of syncs and leaves other programs' alone. Points on the appliance "
      "stay. If the machine is still protected, its next sync reads everything and makes a new "
      "checkpoint: stop it first with 'muletto machine unprotect MACHINE'.";
  command.run = run_forget;
  return command;
}

}  // namespace agent::cli
