#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

void declare_tenant_create(base::options::options_description_easy_init add) {
  add("encrypted", "encrypt its store; the key is created on the appliance");
  declare_connection(add);
}

int run_tenant_create(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post(
      "/tenants", {{"name", arguments.get("NAME")}, {"encrypted", arguments.has("encrypted")}});
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("The tenant {} exists now.\n", printable(arguments.get("NAME")));
  const nlohmann::json& tenant = answer["tenant"];
  if (!tenant["key_file"].is_null()) {
    fmt::print(
        "The key of its store is {} on the appliance. Keep a copy elsewhere: without it nobody can "
        "read a point.\n",
        text_of(tenant, "key_file"));
  }
  return 0;
}

}  // namespace

base::Command tenant_create_command() {
  base::Command command;
  command.name = "tenant create";
  command.summary = "Create a tenant: a client with machines and a store of its own";
  command.positional = {"NAME"};
  command.declare_options = declare_tenant_create;
  command.run = run_tenant_create;
  return command;
}

}  // namespace appliance::cli
