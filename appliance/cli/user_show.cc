#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_user_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/users/" + base::encode_percent(arguments.get("NAME")));
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& user = answer["user"];
  Sheet sheet;
  sheet.add("Name", printable(text_of(user, "name")));
  sheet.add("Role", text_of(user, "role"));
  sheet.add("Tenant", printable(text_of(user, "tenant")));
  sheet.add("Note", printable(text_of(user, "note")));
  sheet.add("Disabled", text_of(user, "disabled"));
  sheet.add("Created", text_of(user, "created"));
  sheet.add("Password set", text_of(user, "password_set"));
  sheet.add("Last sign-in", text_of(user, "signed_in"));
  sheet.add("Second factor", text_of(user, "totp"));
  sheet.add("Recovery codes left", text_of(user, "recovery_codes"));
  sheet.print();
  return 0;
}

}  // namespace

base::Command user_show_command() {
  base::Command command;
  command.name = "user show";
  command.summary = "Show a user";
  command.positional = {"NAME"};
  command.declare_options = declare_connection;
  command.run = run_user_show;
  return command;
}

}  // namespace appliance::cli
