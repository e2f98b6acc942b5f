#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_verify_rules(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get(
      fmt::format("/machines/{}/rules", base::encode_percent(arguments.get("MACHINE"))));
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"RULE", Align::right},
               {"MEANS"},
               {"TAUGHT"},
               {"BY"},
               {"TEST BOOT", Align::right},
               {"TEXT"},
               {"REASON"}});
  for (const nlohmann::json& each : answer["rules"]) {
    std::string lines;
    for (const nlohmann::json& line : each["lines"])
      lines += (lines.empty() ? "" : " / ") + line.get<std::string>();
    std::string means = text_of(each, "means");
    if (!each["tolerated"].empty()) means += ", in spite of trouble";
    table.add({text_of(each, "number"), means, text_of(each, "taught"),
               printable(text_of(each, "taught_by")), text_of(each, "verification"),
               printable(lines), printable(text_of(each, "reason"))});
  }
  table.print("Nothing was taught about this machine.");
  return 0;
}

}  // namespace

base::Command verify_rules_command() {
  base::Command command;
  command.name = "verify rules";
  command.summary = "List the texts that mean up or down for a machine, because a person said so";
  command.positional = {"MACHINE"};
  command.declare_options = declare_connection;
  command.run = run_verify_rules;
  command.notes = "Rules come from 'muletto verify correct'. The newest that fits counts.";
  return command;
}

}  // namespace appliance::cli
