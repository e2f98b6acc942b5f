#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post("/tenants", {{"name", arguments.get("NAME")}});
  if (arguments.json()) print_json(answer);
  else fmt::print("The tenant {} exists now.\n", printable(arguments.get("NAME")));
  return 0;
}

}  // namespace

base::Command tenant_create_command() {
  base::Command command;
  command.name = "tenant create";
  command.summary = "Makes a tenant: a client with machines and a store of its own";
  command.positional = {"NAME"};
  command.declare_options = declare_connection;
  command.run = run;
  return command;
}

}  // namespace appliance::cli
