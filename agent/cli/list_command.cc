#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/libvirt/domain.h"
#include "agent/monitor/monitored_machine.h"
#include "base/json_access.h"

namespace agent::cli {
namespace {

int run_list(const base::Arguments& arguments) {
  Config config = common_config(arguments);
  std::vector<libvirt::DomainSummary> domains;
  for (const auto& [name, machine] : config.machines) {
    if (machine.monitor.empty()) continue;
    domains.push_back({.name = name, .running = monitor::is_running(machine.monitor)});
  }
  if (!config.libvirt_uri.empty()) {
    for (auto& domain : libvirt::Connection(config.libvirt_uri).domains())
      domains.push_back(std::move(domain));
  }
  if (arguments.json()) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& domain : domains) {
      list.push_back({{"name", domain.name},
                      {"uuid", domain.uuid},
                      {"running", domain.running},
                      {"instant_vm", domain.is_instant_vm}});
    }
    fmt::print("{}\n", base::dump_text(list, 2));
    return 0;
  }
  for (const auto& domain : domains) {
    if (domain.is_instant_vm) continue;
    fmt::print("{:<24} {}\n", domain.name, domain.running ? "running" : "shut off");
  }
  return 0;
}

}  // namespace

base::Command list_command() {
  base::Command command;
  command.name = "list";
  command.summary =
      "List the machines that can be protected: the domains of this host's libvirt, and those "
      "reached by QEMU's monitor";
  command.declare_options = declare_common_options;
  command.run = run_list;
  return command;
}

}  // namespace agent::cli
