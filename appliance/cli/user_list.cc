#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_user_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/users");
  if (print_if_json(arguments, answer)) return 0;
  Table table(
      {{"NAME"}, {"ROLE"}, {"TENANT"}, {"SECOND FACTOR"}, {"SIGNED IN"}, {"STATE"}, {"NOTE"}});
  for (const nlohmann::json& user : answer["users"]) {
    bool disabled = user["disabled"].is_boolean() && user["disabled"].get<bool>();
    table.add({printable(text_of(user, "name")), text_of(user, "role"),
               printable(text_of(user, "tenant")), text_of(user, "totp"),
               text_of(user, "signed_in"), disabled ? "disabled" : "active",
               printable(text_of(user, "note"))});
  }
  table.print("There are no users; 'muletto setup code' shows how to make the first one.");
  return 0;
}

}  // namespace

base::Command user_list_command() {
  base::Command command;
  command.name = "user list";
  command.summary = "List users, with their roles";
  command.declare_options = declare_connection;
  command.run = run_user_list;
  return command;
}

}  // namespace appliance::cli
