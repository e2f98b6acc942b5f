#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_host_forget(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/hosts/" + base::encode_percent(arguments.get("HOST")));
  if (!print_if_json(arguments, answer))
    fmt::print("The host {} is forgotten.\n", printable(text_of(answer["host"], "name")));
  return 0;
}

}  // namespace

base::Command host_forget_command() {
  base::Command command;
  command.name = "host forget";
  command.summary = "Remove a revoked host from the lists";
  command.positional = {"HOST"};
  command.declare_options = declare_connection;
  command.run = run_host_forget;
  command.notes =
      "HOST is an id or a unique prefix of one. Its machines and their points stay, without a "
      "host; 'muletto machine assign' gives them another.";
  return command;
}

}  // namespace appliance::cli
