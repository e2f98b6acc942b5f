#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"

namespace appliance::cli {
namespace {

int run_host_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/hosts");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["hosts"],
                    {{"HOST"}, {"ID"}, {"AGENT"}, {"ENROLLED"}, {"LAST SEEN"}, {"REVOKED"}});
  for (const nlohmann::json& host : answer["hosts"]) {
    table.add(host,
              {text_of(host, "name"), short_id(host, "id"), text_of(host, "version"),
               text_of(host, "enrolled"), text_of(host, "last_seen"), text_of(host, "revoked")});
  }
  table.print("No host is enrolled: 'muletto token create' tells how.");
  return 0;
}

}  // namespace

base::Command host_list_command() {
  base::Command command;
  command.name = "host list";
  command.summary = "List the enrolled hosts";
  command.declare_options = declare_connection;
  command.run = run_host_list;
  return command;
}

}  // namespace appliance::cli
