#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"

namespace appliance::cli {
namespace {

int run_token_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/tokens");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(
      answer["tokens"],
      {{"ID"}, {"KIND"}, {"ROLE"}, {"BY"}, {"CREATED"}, {"EXPIRES"}, {"USED"}, {"NOTE"}});
  for (const nlohmann::json& token : answer["tokens"]) {
    table.add(token, {text_of(token, "id"), text_of(token, "kind"), text_of(token, "role"),
                      text_of(token, "made_by"), text_of(token, "created"),
                      text_of(token, "expires"), text_of(token, "used"), text_of(token, "note")});
  }
  table.print("There are no tokens.");
  return 0;
}

}  // namespace

base::Command token_list_command() {
  base::Command command;
  command.name = "token list";
  command.summary = "List tokens, without their secrets";
  command.declare_options = declare_connection;
  command.run = run_token_list;
  return command;
}

}  // namespace appliance::cli
