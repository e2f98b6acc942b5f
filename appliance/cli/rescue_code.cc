#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/present.h"
#include "appliance/cli/rescue_commands.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;
using nlohmann::json;

constexpr uint64_t kMinuteMs = 60'000;

void declare_rescue_code(base::options::options_description_easy_init add) {
  add("expires", value<std::string>()->value_name("DURATION"),
      "how long the code can be used, such as 10m or 4h (default: 1h; at most 24h)");
  declare_connection(add);
}

int run_rescue_code(const base::Arguments& arguments) {
  json body{{"machines", arguments.list("MACHINE")}};
  if (arguments.has("expires")) {
    uint64_t lifetime_ms = base::parse_duration_ms(arguments.get("expires"));
    body["minutes"] = (lifetime_ms + kMinuteMs - 1) / kMinuteMs;
  }
  json answer = ApiClient(arguments).post("/rescues", body);
  if (print_if_json(arguments, answer)) return 0;
  const json& rescue = answer["rescue"];
  Sheet sheet;
  sheet.add("Code", text_of(rescue, "code"));
  sheet.add("Appliance", text_of(rescue, "address"));
  sheet.add("Fingerprint", text_of(rescue, "fingerprint"));
  sheet.add("Expires", text_of(rescue, "expires"));
  sheet.print();
  fmt::print(
      "The code is shown only this once. The rescue image asks for it, and for the appliance; "
      "compare the fingerprint there with this one.\n");
  return 0;
}

int run_rescue_list(const base::Arguments& arguments) {
  json answer = ApiClient(arguments).get("/rescues");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["rescues"],
                    {{"ID"}, {"MACHINES"}, {"STATE"}, {"EXPIRES"}, {"REQUESTED BY"}});
  for (const json& rescue : answer["rescues"]) {
    std::string machines;
    for (const json& name : rescue["machines"])
      if (name.is_string()) machines += (machines.empty() ? "" : ", ") + name.get<std::string>();
    table.add(rescue, {text_of(rescue, "id"), machines, rescue["used"] == true ? "in use" : "waits",
                       text_of(rescue, "expires"), text_of(rescue, "requested_by")});
  }
  table.print("There are no rescue codes.");
  return 0;
}

int run_rescue_revoke(const base::Arguments& arguments) {
  json answer =
      ApiClient(arguments).remove("/rescues/" + base::encode_percent(arguments.get("ID")));
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("The code {} is worth nothing any more, and its connections are closed.\n",
             printable(arguments.get("ID")));
  return 0;
}

}  // namespace

base::Command rescue_code_command() {
  base::Command command;
  command.name = "rescue code";
  command.summary = "Make a one-time code with which a computer without a system restores machines";
  command.positional = {"MACHINE*"};
  command.declare_options = declare_rescue_code;
  command.run = run_rescue_code;
  command.notes =
      "The rescue image asks for the code. It can be used once, and only points of the machines "
      "named "
      "here can be read with it, for a day. It changes nothing on the appliance.";
  return command;
}

base::Command rescue_list_command() {
  base::Command command;
  command.name = "rescue list";
  command.summary = "List rescue codes that can be used, or are in use";
  command.declare_options = declare_connection;
  command.run = run_rescue_list;
  return command;
}

base::Command rescue_revoke_command() {
  base::Command command;
  command.name = "rescue revoke";
  command.summary = "End a rescue code, and what reads with it";
  command.positional = {"ID"};
  command.declare_options = declare_connection;
  command.run = run_rescue_revoke;
  return command;
}

}  // namespace appliance::cli
