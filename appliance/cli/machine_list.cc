#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"

namespace appliance::cli {
namespace {

int run_machine_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/machines");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["machines"], {{"MACHINE"},
                                         {"HOST"},
                                         {"POINTS", Align::right},
                                         {"SIZE", Align::right},
                                         {"LATEST POINT"},
                                         {"WORST GAP, DAY", Align::right},
                                         {"POLICY"},
                                         {"NEXT DUE"},
                                         {"ID"}});
  for (const nlohmann::json& machine : answer["machines"]) {
    const nlohmann::json& latest = machine["latest_point"];
    const nlohmann::json& protection = machine["protection"];
    table.add(
        machine,
        {text_of(machine, "name"), text_of(machine, "host"), text_of(machine, "point_count"),
         size_of(machine, "size"), text_of(latest, "time"), duration_of(protection, "worst_day_ms"),
         protection.value("wanted", false) ? text_of(protection, "policy") : "not protected",
         text_of(protection, "next_due"), short_id(latest, "id")});
  }
  table.print(when_empty(
      answer,
      "There are no machines yet: enrol an agent (muletto token create) and run its first sync."));
  print_problems(answer);
  return 0;
}

}  // namespace

base::Command machine_list_command() {
  base::Command command;
  command.name = "machine list";
  command.summary = "List the machines and how well they are protected";
  command.declare_options = declare_connection;
  command.run = run_machine_list;
  return command;
}

}  // namespace appliance::cli
