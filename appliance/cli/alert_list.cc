#include <fmt/format.h>

#include <map>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"

namespace appliance::cli {
namespace {

void declare_alert_list(base::options::options_description_easy_init add) {
  add("closed", "also list alerts that are closed");
  declare_connection(add);
}

int run_alert_list(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get(arguments.has("closed") ? "/alerts?closed=true" : "/alerts");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["alerts"], {{"ID", Align::right},
                                       {"SEVERITY"},
                                       {"KIND"},
                                       {"OPENED"},
                                       {"CLOSED"},
                                       {"ACKNOWLEDGED"},
                                       {"BY"},
                                       {"SILENT UNTIL"},
                                       {"WHAT"}});
  for (const nlohmann::json& alert : answer["alerts"]) {
    table.add(alert, {text_of(alert, "id"), text_of(alert, "severity"), text_of(alert, "kind"),
                      text_of(alert, "opened"), text_of(alert, "closed"),
                      text_of(alert, "acknowledged"), text_of(alert, "acknowledged_by"),
                      text_of(alert.value("silenced", nlohmann::json()), "until"),
                      text_of(alert, "message")});
  }
  table.print(when_empty(answer, "Nothing is wrong."));
  // An alert says what is wrong; this says what could not be determined.
  print_problems(answer, "could not be checked");
  std::map<std::string, std::string> advice;
  for (const nlohmann::json& alert : answer["alerts"]) {
    if (alert["closed"].is_null()) advice[text_of(alert, "kind")] = text_of(alert, "advice");
  }
  if (!advice.empty()) fmt::print("\nWhat to do:\n");
  for (const auto& [kind, words] : advice) fmt::print("  {}: {}\n", kind, words);
  return 0;
}

}  // namespace

base::Command alert_list_command() {
  base::Command command;
  command.name = "alert list";
  command.summary = "List what is wrong, and what to do about it";
  command.declare_options = declare_alert_list;
  command.run = run_alert_list;
  return command;
}

}  // namespace appliance::cli
