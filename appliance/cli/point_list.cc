#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_point_list(base::options::options_description_easy_init add) {
  add("machine", base::options::value<std::string>()->value_name("MACHINE"),
      "list only the points of this machine");
  declare_connection(add);
}

int run_point_list(const base::Arguments& arguments) {
  std::string path = "/points";
  if (arguments.has("machine"))
    path += "?machine=" + base::encode_percent(arguments.get("machine"));
  nlohmann::json answer = ApiClient(arguments).get(path);
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(
      answer["points"],
      {{"ID"}, {"MACHINE"}, {"TIME"}, {"SIZE", Align::right}, {"CONSISTENCY"}, {"KEPT BY"}, {""}});
  for (const nlohmann::json& point : answer["points"]) {
    bool missing = point.contains("missing_since") && !point["missing_since"].is_null();
    std::string remarks = missing ? "MISSING" : point["damage_found"].is_null() ? "" : "DAMAGED";
    if (!point["origin"].is_null()) remarks += remarks.empty() ? "copy" : "; copy";
    if (!point["clock_note"].is_null())
      remarks += (remarks.empty() ? "" : "; ") + text_of(point, "clock_note");
    table.add(point, {short_id(point, "id"), text_of(point, "machine"), text_of(point, "time"),
                      size_of(point, "size"), text_of(point, "consistency"),
                      point.value("stays", true) ? reasons_of(point) : "(it goes)", remarks});
  }
  table.print(when_empty(answer, "There are no points."));
  print_problems(answer);
  return 0;
}

}  // namespace

base::Command point_list_command() {
  base::Command command;
  command.name = "point list";
  command.summary = "List points, oldest first";
  command.declare_options = declare_point_list;
  command.run = run_point_list;
  return command;
}

}  // namespace appliance::cli
