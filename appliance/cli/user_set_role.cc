#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_user_set_role(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).put(
      "/users/" + base::encode_percent(arguments.get("NAME")), {{"role", arguments.get("ROLE")}});
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("{} is {} now.\n", printable(text_of(answer["user"], "name")),
             text_of(answer["user"], "role"));
  return 0;
}

}  // namespace

base::Command user_set_role_command() {
  base::Command command;
  command.name = "user set-role";
  command.summary = "Change a user's role; the user has to sign in again";
  command.positional = {"NAME", "ROLE"};
  command.values = {
      {"ROLE", "owner|administrator|technician|auditor|tenant-operator|tenant-viewer"}};
  command.declare_options = declare_connection;
  command.run = run_user_set_role;
  return command;
}

}  // namespace appliance::cli
