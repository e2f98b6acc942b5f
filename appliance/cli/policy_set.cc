#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_options(base::options::options_description_easy_init add) {
  using base::options::value;
  using Words = std::vector<std::string>;
  add("schedule", value<Words>()->value_name("RULE"),
      "'every 15m', 'hourly mon-fri 7-19', 'daily 22:00', '0 */4 * * *', 'off'; may be repeated");
  add("timezone", value<std::string>()->value_name("ZONE"), "such as Europe/Rome; default: UTC");
  add("blackout", value<Words>()->value_name("WINDOW"),
      "no sync begins in 'mon-fri 12:00-13:00'; may be repeated; 'none' for none");
  add("jitter", value<std::string>()->value_name("TIME"), "spreads starts over this time");
  add("keep", value<std::string>()->value_name("TEXT"),
      "'all', or 'last 24, hourly 48, daily 14, weekly 8, monthly 12, yearly 5'");
  add("bandwidth", value<std::string>()->value_name("TEXT"),
      "bytes a second of a host: '20M mon-fri 8-18, 100M'");
  add("rpo", value<std::string>()->value_name("TIME"),
      "alert when the newest point is older; '' for what the schedule says");
  add("rto", value<std::string>()->value_name("TIME"),
      "alert when test boots take longer to come up, such as 10m; '' for no target");
  add("priority", value<std::string>()->value_name("N"), "1 to 9; 9 goes first");
  add("verification", value<std::string>()->value_name("WHEN"),
      "off, after-sync or 'nightly HH:MM'");
  add("verify-within", value<std::string>()->value_name("TIME"),
      "alert when no test boot has passed for so long; default: 8d");
  add("protect-new", value<std::string>()->value_name("yes|no"),
      "of the default policy: machines that agents notice are protected at once");
  declare_connection(add);
}

bool yes_or_no(const std::string& word) {
  if (word == "yes" || word == "no") return word == "yes";
  throw base::Error(base::ErrorCode::invalid_argument, "--protect-new is yes or no");
}

int run(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.has("schedule")) body["schedule"] = arguments.list("schedule");
  if (arguments.has("blackout")) {
    body["blackout"] = arguments.list("blackout");
    if (body["blackout"] == nlohmann::json{"none"}) body["blackout"] = nlohmann::json::array();
  }
  for (const char* name :
       {"timezone", "jitter", "keep", "bandwidth", "rpo", "rto", "verification"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  if (arguments.has("verify-within")) body["verify_within"] = arguments.get("verify-within");
  if (auto priority = number_option(arguments, "priority", 1, 9)) body["priority"] = *priority;
  if (arguments.has("protect-new")) body["protect_new"] = yes_or_no(arguments.get("protect-new"));
  nlohmann::json answer =
      ApiClient(arguments).put("/policies/" + base::encode_percent(arguments.get("POLICY")), body);
  if (arguments.json()) print_json(answer);
  else fmt::print("The policy {} is set.\n", printable(arguments.get("POLICY")));
  return 0;
}

}  // namespace

base::Command policy_set_command() {
  base::Command command;
  command.name = "policy set";
  command.summary = "Create a policy, or change parts of one";
  command.positional = {"POLICY"};
  command.declare_options = declare_options;
  command.run = run;
  command.notes =
      "What is not given stays as it was; a new policy has the defaults: every hour, everything "
      "kept.";
  return command;
}

}  // namespace appliance::cli
