#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run_alert_kinds(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/alert-kinds");
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"KIND"}, {"SEVERITY"}, {"WHEN"}, {"WHAT TO DO"}});
  for (const nlohmann::json& kind : answer["kinds"]) {
    table.add({text_of(kind, "name"), text_of(kind, "severity"), text_of(kind, "meaning"),
               text_of(kind, "advice")});
  }
  table.print("There are none.");
  return 0;
}

}  // namespace

base::Command alert_kinds_command() {
  base::Command command;
  command.name = "alert kinds";
  command.summary = "List the kinds of alerts, and what to do about each";
  command.declare_options = declare_connection;
  command.run = run_alert_kinds;
  return command;
}

}  // namespace appliance::cli
