#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_alert_ack(base::options::options_description_easy_init add) {
  add("note", base::options::value<std::string>()->value_name("TEXT"), "what is being done");
  declare_connection(add);
}

int run_alert_ack(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.has("note")) body["note"] = arguments.get("note");
  nlohmann::json answer = ApiClient(arguments).post(
      fmt::format("/alerts/{}/acknowledge", base::encode_percent(arguments.get("ALERT"))), body);
  if (!print_if_json(arguments, answer))
    fmt::print("Acknowledged: {}\n", printable(text_of(answer["alert"], "message")));
  return 0;
}

}  // namespace

base::Command alert_ack_command() {
  base::Command command;
  command.name = "alert ack";
  command.summary = "Acknowledge an alert";
  command.positional = {"ALERT"};
  command.declare_options = declare_alert_ack;
  command.run = run_alert_ack;
  command.notes =
      "ALERT is the number that 'muletto alert list' shows. Channels that escalate are not told of "
      "an "
      "alert that somebody has acknowledged.";
  return command;
}

}  // namespace appliance::cli
