#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

std::string words(const nlohmann::json& list) {
  std::string text;
  for (const nlohmann::json& word : list)
    text += (text.empty() ? "" : "; ") + word.get<std::string>();
  return text;
}

int run_policy_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/policies");
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"POLICY"}, {"SCHEDULE"}, {"KEEPS"}, {"PRIORITY", Align::right}, {"NEW MACHINES"}});
  for (const nlohmann::json& policy : answer["policies"]) {
    table.add({text_of(policy, "name"), words(policy["schedule"]), text_of(policy, "keep"),
               text_of(policy, "priority"),
               policy.value("protect_new", false) ? "protected" : "reported"});
  }
  table.print("There is no policy.");
  return 0;
}

}  // namespace

base::Command policy_list_command() {
  base::Command command;
  command.name = "policy list";
  command.summary = "List the policies";
  command.declare_options = declare_connection;
  command.run = run_policy_list;
  return command;
}

}  // namespace appliance::cli
