#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run_tenant_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/tenants");
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"TENANT"}, {"CREATED"}, {"STORE"}, {"ENCRYPTED"}, {"QUOTA"}, {"FOLDER"}});
  for (const nlohmann::json& tenant : answer["tenants"])
    table.add({text_of(tenant, "name"), text_of(tenant, "created"),
               text_of(tenant["store"], "state"), text_of(tenant["store"], "encrypted"),
               tenant["quota"].is_null() ? "none" : size_of(tenant, "quota"),
               text_of(tenant["store"], "directory")});
  table.print(when_empty(answer, "There is no tenant."));
  print_problems(answer);
  return 0;
}

}  // namespace

base::Command tenant_list_command() {
  base::Command command;
  command.name = "tenant list";
  command.summary = "List the tenants";
  command.declare_options = declare_connection;
  command.run = run_tenant_list;
  return command;
}

}  // namespace appliance::cli
