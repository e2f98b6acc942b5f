#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_verify_list(base::options::options_description_easy_init add) {
  add("machine", base::options::value<std::string>()->value_name("MACHINE"),
      "list only the test boots of this machine");
  declare_connection(add);
}

int run_verify_list(const base::Arguments& arguments) {
  std::string query =
      arguments.has("machine") ? "?machine=" + base::encode_percent(arguments.get("machine")) : "";
  nlohmann::json answer = ApiClient(arguments).get("/verifications" + query);
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"NUMBER", Align::right},
               {"MACHINE"},
               {"POINT OF"},
               {"VERDICT"},
               {"UP AFTER", Align::right},
               {"STARTED"},
               {"WHY"},
               {"REASON"}});
  for (const nlohmann::json& each : answer["verifications"]) {
    std::string reason = each["reasons"].empty() ? "" : each["reasons"][0].get<std::string>();
    table.add({text_of(each, "number"), text_of(each, "machine"), text_of(each, "point_time"),
               verdict_of(each), duration_of(each, "recovery_ms"), text_of(each, "started"),
               text_of(each, "why"), printable(reason)});
  }
  table.print(when_empty(answer, "There were no test boots."));
  print_problems(answer);
  if (answer.contains("recovery") && answer["recovery"]["count"] != 0)
    fmt::print("Proved recovery time: {}\n", recovery_of(answer["recovery"]));
  return 0;
}

}  // namespace

base::Command verify_list_command() {
  base::Command command;
  command.name = "verify list";
  command.summary = "List test boots, newest first";
  command.declare_options = declare_verify_list;
  command.run = run_verify_list;
  return command;
}

}  // namespace appliance::cli
