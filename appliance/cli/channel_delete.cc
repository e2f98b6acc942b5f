#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_channel_delete(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/channels/" + base::encode_percent(arguments.get("CHANNEL")));
  if (!print_if_json(arguments, answer))
    fmt::print("Channel {} deleted, with what waited for it.\n",
               printable(arguments.get("CHANNEL")));
  return 0;
}

}  // namespace

base::Command channel_delete_command() {
  base::Command command;
  command.name = "channel delete";
  command.summary = "Delete a channel, with the notices that wait for it";
  command.positional = {"CHANNEL"};
  command.declare_options = declare_connection;
  command.run = run_channel_delete;
  return command;
}

}  // namespace appliance::cli
