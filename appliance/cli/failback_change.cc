#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/failback_sheet.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

int send_failback(const base::Arguments& arguments, const char* verb, const json& body) {
  json answer = ApiClient(arguments).post(
      fmt::format("/failbacks/{}/{}", base::encode_percent(arguments.get("FAILBACK")), verb), body);
  if (!print_if_json(arguments, answer)) print_failback(answer["failback"]);
  return 0;
}

void declare_failback_plain(base::options::options_description_easy_init add) {
  declare_connection(add);
}

void declare_failback_keep(base::options::options_description_easy_init add) {
  add("home-is-off", base::options::value<std::string>()->value_name("MACHINE"),
      "vouch, with the machine's name, that it is off at home and stays off");
  declare_connection(add);
}

base::Command failback_command(const char* name, const char* summary, const char* verb,
                               const char* notes) {
  base::Command command;
  command.name = name;
  command.summary = summary;
  command.positional = {"FAILBACK"};
  command.declare_options = declare_failback_plain;
  command.run = [verb](const base::Arguments& arguments) {
    return send_failback(arguments, verb, json::object());
  };
  command.notes = notes;
  return command;
}

}  // namespace

base::Command failback_finish_command() {
  return failback_command(
      "failback finish", "Switch now: the machine goes on at home", "finish",
      "It switches as soon as home has caught up and no other machine is between here "
      "and home. Of a machine that runs at home, what its VM wrote here is given up "
      "now instead of after the time that --keep set.");
}

base::Command failback_cancel_command() {
  return failback_command(
      "failback cancel", "End a failback before the switch", "cancel",
      "The machine runs on here. Home keeps what it has got: a later failback sends "
      "only what differs from it.");
}

base::Command failback_pause_command() {
  return failback_command("failback pause", "Send nothing home for now", "pause", "");
}

base::Command failback_continue_command() {
  return failback_command("failback continue", "Go on after 'failback pause'", "continue", "");
}

base::Command failback_keep_command() {
  base::Command command = failback_command(
      "failback keep", "Run the machine here again, if home has not started it", "keep",
      "Home is asked to promise that it never starts the machine for this failback; then "
      "it is started here again. If home cannot be asked, only you can know: with "
      "--home-is-off you vouch that the host is off, or cannot start the machine. If it "
      "does, two copies run.");
  command.declare_options = declare_failback_keep;
  command.run = [](const base::Arguments& arguments) {
    json body = json::object();
    if (arguments.has("home-is-off")) body["home_is_off"] = arguments.get("home-is-off");
    return send_failback(arguments, "keep", body);
  };
  return command;
}

}  // namespace appliance::cli
