#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void print_machine(const nlohmann::json& machine) {
  Sheet sheet;
  sheet.add("Machine", text_of(machine, "name"));
  sheet.add("Host", text_of(machine, "host"));
  sheet.add("Known since", text_of(machine, "created"));
  sheet.add("Points", text_of(machine, "point_count"));
  sheet.add("Latest point", fmt::format("{} ({})", text_of(machine["latest_point"], "time"),
                                        text_of(machine["latest_point"], "id")));
  if (machine.contains("recovery") && machine["recovery"]["count"] != 0)
    sheet.add("Proved recovery time", recovery_of(machine["recovery"]));
  const nlohmann::json& definition = machine["definition"];
  sheet.add("Firmware", text_of(definition, "firmware"));
  sheet.add("CPUs", text_of(definition, "cpu_count"));
  sheet.add("Memory", size_of(definition, "memory_size"));
  if (machine["disks"].is_array()) {
    for (const nlohmann::json& disk : machine["disks"]) {
      sheet.add("Disk", fmt::format("{}, {}", text_of(disk, "name"), size_of(disk, "size")));
    }
  }
  if (definition.is_object()) {
    for (const nlohmann::json& card : definition["network_cards"]) {
      sheet.add("Network card", fmt::format("{} {} on {}", text_of(card, "mac"),
                                            text_of(card, "model"), text_of(card, "network")));
    }
  }
  sheet.print();
}

int run_machine_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/machines/" + base::encode_percent(arguments.get("MACHINE")));
  if (!print_if_json(arguments, answer)) {
    print_machine(answer["machine"]);
  }
  return 0;
}

}  // namespace

base::Command machine_show_command() {
  base::Command command;
  command.name = "machine show";
  command.summary = "Show one machine with its disks and definition";
  command.positional = {"MACHINE"};
  command.declare_options = declare_connection;
  command.run = run_machine_show;
  return command;
}

}  // namespace appliance::cli
