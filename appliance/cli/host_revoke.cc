#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_host_revoke(const base::Arguments& arguments) {
  std::string path = fmt::format("/hosts/{}/revoke", base::encode_percent(arguments.get("HOST")));
  nlohmann::json answer = ApiClient(arguments).post(path, nlohmann::json::object());
  if (!print_if_json(arguments, answer)) {
    fmt::print("The host {} is revoked.\n", printable(text_of(answer["host"], "name")));
  }
  return 0;
}

}  // namespace

base::Command host_revoke_command() {
  base::Command command;
  command.name = "host revoke";
  command.summary = "Revoke a host's access; its machines and points stay";
  command.positional = {"HOST"};
  command.declare_options = declare_connection;
  command.run = run_host_revoke;
  command.notes =
      "HOST is a name, an id, or a unique prefix of one. Its agent can no longer connect.";
  return command;
}

}  // namespace appliance::cli
