#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_alert_silence(base::options::options_description_easy_init add) {
  add("for", value<std::string>()->value_name("DURATION"), "for how long, such as 4h; at most 30d")(
      "note", value<std::string>()->value_name("TEXT"), "why")("end", "end the silence now");
  declare_connection(add);
}

int run_alert_silence(const base::Arguments& arguments) {
  if (arguments.has("for") == arguments.has("end"))
    throw base::Error(base::ErrorCode::invalid_argument, "give either --for DURATION or --end");
  ApiClient client(arguments);
  std::string path =
      fmt::format("/alerts/{}/silence", base::encode_percent(arguments.get("ALERT")));
  nlohmann::json answer;
  if (arguments.has("end")) {
    answer = client.remove(path);
  } else {
    nlohmann::json body{{"for", arguments.get("for")}};
    if (arguments.has("note")) body["note"] = arguments.get("note");
    answer = client.post(path, body);
  }
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& alert = answer["alert"];
  nlohmann::json silenced = alert.value("silenced", nlohmann::json());
  if (silenced.is_null()) {
    fmt::print("No longer silent: {}\n", printable(text_of(alert, "message")));
  } else {
    fmt::print("Silent until {}: {}\n", text_of(silenced, "until"),
               printable(text_of(alert, "message")));
  }
  return 0;
}

}  // namespace

base::Command alert_silence_command() {
  base::Command command;
  command.name = "alert silence";
  command.summary = "Let nobody be notified of an alert for some time";
  command.positional = {"ALERT"};
  command.declare_options = declare_alert_silence;
  command.run = run_alert_silence;
  command.notes =
      "ALERT is the number that 'muletto alert list' shows. The silence is about the subject of "
      "the "
      "alert: it also holds if the alert closes and opens again meanwhile. That it closes is "
      "always "
      "told. When the silence is over and the alert is still open, people are told so.";
  return command;
}

}  // namespace appliance::cli
