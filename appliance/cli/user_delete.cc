#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_user_delete(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/users/" + base::encode_percent(arguments.get("NAME")));
  if (!print_if_json(arguments, answer))
    fmt::print("The user {} is removed, with all sessions and tokens of that user.\n",
               printable(arguments.get("NAME")));
  return 0;
}

}  // namespace

base::Command user_delete_command() {
  base::Command command;
  command.name = "user delete";
  command.summary = "Remove a user, with the sessions and tokens of the user";
  command.positional = {"NAME"};
  command.declare_options = declare_connection;
  command.run = run_user_delete;
  return command;
}

}  // namespace appliance::cli
