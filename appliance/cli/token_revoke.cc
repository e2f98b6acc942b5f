#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_token_revoke(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).remove("/tokens/" + base::encode_percent(arguments.get("TOKEN")));
  if (!print_if_json(arguments, answer)) {
    fmt::print(
        "The token {} is revoked. A host that enrolled with it stays: see 'muletto host revoke'.\n",
        printable(arguments.get("TOKEN")));
  }
  return 0;
}

}  // namespace

base::Command token_revoke_command() {
  base::Command command;
  command.name = "token revoke";
  command.summary = "Revoke a token";
  command.positional = {"TOKEN"};
  command.declare_options = declare_connection;
  command.run = run_token_revoke;
  command.notes =
      "TOKEN is the id that 'muletto token list' shows, or a unique prefix of it; not the secret.";
  return command;
}

}  // namespace appliance::cli
