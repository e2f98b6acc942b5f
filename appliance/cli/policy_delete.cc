#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_policy_delete(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/policies/" + base::encode_percent(arguments.get("POLICY")));
  if (!print_if_json(arguments, answer))
    fmt::print("The policy {} is deleted.\n", printable(arguments.get("POLICY")));
  return 0;
}

}  // namespace

base::Command policy_delete_command() {
  base::Command command;
  command.name = "policy delete";
  command.summary = "Delete a policy that no machine uses";
  command.positional = {"POLICY"};
  command.declare_options = declare_connection;
  command.run = run_policy_delete;
  return command;
}

}  // namespace appliance::cli
