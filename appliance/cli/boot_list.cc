#include <algorithm>
#include <string>
#include <vector>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"

namespace appliance::cli {
namespace {

int run_boot_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/boots");
  if (print_if_json(arguments, answer)) return 0;
  // Which node has a VM matters only where there are several.
  std::string own = text_of(answer, "node");
  auto is_elsewhere = [&](const nlohmann::json& boot) {
    return boot["node"].is_string() && boot["node"] != own;
  };
  bool several = std::any_of(answer["boots"].begin(), answer["boots"].end(), is_elsewhere);
  std::vector<Column> columns{{"ID"},
                              {"MACHINE"},
                              {"STATE"},
                              {"STARTED"},
                              {"CPUS", Align::right},
                              {"MEMORY", Align::right},
                              {"ACCELERATOR"},
                              {"POINT"},
                              {"PROBLEM"}};
  if (several) columns.insert(columns.begin() + 3, {"NODE"});
  TenantTable table(answer["boots"], columns);
  for (const nlohmann::json& boot : answer["boots"]) {
    std::vector<std::string> cells{
        text_of(boot, "id"),          text_of(boot, "machine"),   text_of(boot, "state"),
        text_of(boot, "started"),     text_of(boot, "cpu_count"), size_of(boot, "memory_size"),
        text_of(boot, "accelerator"), short_id(boot, "point"),    text_of(boot, "problem")};
    if (several)
      cells.insert(cells.begin() + 3, is_elsewhere(boot) ? text_of(boot, "node") : "this one");
    table.add(boot, cells);
  }
  table.print(when_empty(answer, "There are no instant VMs."));
  print_problems(answer);
  return 0;
}

}  // namespace

base::Command boot_list_command() {
  base::Command command;
  command.name = "boot list";
  command.summary = "List the instant VMs";
  command.declare_options = declare_connection;
  command.run = run_boot_list;
  return command;
}

}  // namespace appliance::cli
