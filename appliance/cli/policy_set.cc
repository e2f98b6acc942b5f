#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_policy_set(base::options::options_description_easy_init add) {
  using base::options::value;
  using Words = std::vector<std::string>;
  add("schedule", value<Words>()->value_name("RULE"),
      "when machines are synced: 'every 15m', 'hourly mon-fri 7-19', 'daily 22:00', '0 */4 * * *', "
      "'off'");
  add("timezone", value<std::string>()->value_name("ZONE"),
      "time zone of the schedule, such as Europe/Rome (default: UTC)");
  add("blackout", value<Words>()->value_name("WINDOW"),
      "when no sync begins, such as 'mon-fri 12:00-13:00'; 'none' for never");
  add("jitter", value<std::string>()->value_name("DURATION"),
      "spread the starts of syncs over this time, such as 5m");
  add("keep", value<std::string>()->value_name("RULE"),
      "which points are kept: 'all', or 'last 24, hourly 48, daily 14, weekly 8, monthly 12, "
      "yearly 5'");
  add("bandwidth", value<std::string>()->value_name("RULE"),
      "limit for each host in bytes a second: '20M mon-fri 8-18, 100M'");
  add("rpo", value<std::string>()->value_name("DURATION"),
      "recovery point objective: alert when the newest point is older, such as 2h; '' to derive it "
      "from the schedule");
  add("rto", value<std::string>()->value_name("DURATION"),
      "recovery time objective: alert when a test boot takes longer, such as 10m; '' for none");
  add("priority", value<std::string>()->value_name("NUMBER"),
      "order of syncs that are due, 1 to 9; 9 is first");
  add("verification", value<std::string>()->value_name("WHEN"),
      "when points are test-booted: off, after-sync or 'nightly HH:MM'");
  add("verify-within", value<std::string>()->value_name("DURATION"),
      "alert when no test boot has passed for this long (default: 8d)");
  add("protect-new", value<std::string>()->value_name("yes|no"),
      "of the default policy: protect machines as soon as an agent reports them");
  declare_connection(add);
}

bool yes_or_no(const std::string& word) {
  if (word == "yes" || word == "no") return word == "yes";
  throw base::Error(base::ErrorCode::invalid_argument, "--protect-new is yes or no");
}

int run_policy_set(const base::Arguments& arguments) {
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
  if (!print_if_json(arguments, answer))
    fmt::print("The policy {} is set.\n", printable(arguments.get("POLICY")));
  return 0;
}

}  // namespace

base::Command policy_set_command() {
  base::Command command;
  command.name = "policy set";
  command.summary = "Create a policy, or change parts of one";
  command.positional = {"POLICY"};
  command.declare_options = declare_policy_set;
  command.run = run_policy_set;
  command.notes =
      "Settings that are not given stay as they are. A new policy has the defaults: a sync every "
      "hour, all points kept.";
  return command;
}

}  // namespace appliance::cli
