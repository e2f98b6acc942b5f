#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_session_end(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/sessions/" + base::encode_percent(arguments.get("SESSION")));
  if (!print_if_json(arguments, answer))
    fmt::print("The session {} has ended.\n", printable(arguments.get("SESSION")));
  return 0;
}

}  // namespace

base::Command session_end_command() {
  base::Command command;
  command.name = "session end";
  command.summary = "End a session: whoever has it must sign in again";
  command.positional = {"SESSION"};
  command.declare_options = declare_connection;
  command.run = run_session_end;
  return command;
}

}  // namespace appliance::cli
