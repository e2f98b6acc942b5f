#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_policy_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/policies/" + base::encode_percent(arguments.get("POLICY")));
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& policy = answer["policy"];
  auto list = [&](const char* field) {
    std::string text;
    for (const nlohmann::json& word : policy[field])
      text += (text.empty() ? "" : "; ") + word.get<std::string>();
    return text.empty() ? std::string("-") : printable(text);
  };
  auto text = [&](const char* field) {
    std::string value = policy.value(field, "");
    return value.empty() ? std::string("-") : printable(value);
  };
  Sheet sheet;
  sheet.add("Policy", text("name"));
  sheet.add("Schedule", list("schedule"));
  sheet.add("Time zone", text("timezone"));
  sheet.add("Blackout", list("blackout"));
  sheet.add("Jitter", text("jitter"));
  sheet.add("Keeps", text("keep"));
  sheet.add("Recovery point objective", text("rpo"));
  sheet.add("Recovery time objective", text("rto"));
  sheet.add("Bandwidth", text("bandwidth"));
  sheet.add("Priority", text_of(policy, "priority"));
  bool tested = policy.value("verification", "off") != "off";
  sheet.add("Verification", tested ? text("verification") : "off: nothing is verified");
  if (tested) sheet.add("Must pass within", text("verify_within"));
  sheet.add("New machines", policy.value("protect_new", false) ? "protected" : "reported");
  sheet.print();
  return 0;
}

}  // namespace

base::Command policy_show_command() {
  base::Command command;
  command.name = "policy show";
  command.summary = "Show the settings of a policy";
  command.positional = {"POLICY"};
  command.declare_options = declare_connection;
  command.run = run_policy_show;
  return command;
}

}  // namespace appliance::cli
