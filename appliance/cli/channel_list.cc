#include "appliance/cli/api_client.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run_channel_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/channels");
  if (print_if_json(arguments, answer)) return 0;
  Table table(
      {{"NAME"}, {"KIND"}, {"WAITING", Align::right}, {"LAST SENT"}, {"FAILS SINCE"}, {"ERROR"}});
  for (const nlohmann::json& channel : answer["channels"]) {
    const nlohmann::json& standing = channel["standing"];
    table.add({text_of(channel, "name"), text_of(channel, "kind"),
               text_of(standing, "waiting_count"), text_of(standing, "sent"),
               text_of(standing, "failing_since"), text_of(standing, "error")});
  }
  table.print(
      "There are none, so nobody is notified of alerts: see 'muletto channel create --help'.");
  return 0;
}

}  // namespace

base::Command channel_list_command() {
  base::Command command;
  command.name = "channel list";
  command.summary = "List the channels that notify people of alerts";
  command.declare_options = declare_connection;
  command.run = run_channel_list;
  return command;
}

}  // namespace appliance::cli
