#include "appliance/cli/api_client.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_channel_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/channels/" + base::encode_percent(arguments.get("CHANNEL")));
  if (print_if_json(arguments, answer)) return 0;
  Sheet sheet;
  for (const auto& [name, value] : answer["channel"].items()) {
    if (name == "standing") continue;
    sheet.add(name, printable(value.is_structured() ? base::dump_text(value)
                                                    : text_of(answer["channel"], name.c_str())));
  }
  for (const char* name : {"waiting_count", "waiting_since", "sent_count", "sent", "dropped_count",
                           "failing_since", "error"})
    sheet.add(name, printable(text_of(answer["channel"]["standing"], name)));
  sheet.print();
  return 0;
}

}  // namespace

base::Command channel_show_command() {
  base::Command command;
  command.name = "channel show";
  command.summary = "Show a channel: its settings without secrets, and how it works";
  command.positional = {"CHANNEL"};
  command.declare_options = declare_connection;
  command.run = run_channel_show;
  return command;
}

}  // namespace appliance::cli
