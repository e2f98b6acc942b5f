#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/password_input.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_user_create(base::options::options_description_easy_init add) {
  add("role", value<std::string>()->required()->value_name("ROLE"),
      "what the user may do: owner, administrator, technician, auditor, tenant-operator or "
      "tenant-viewer")("note", value<std::string>()->value_name("TEXT"),
                       "who it is; shown in lists");
  declare_password(add);
  declare_connection(add);
}

int run_user_create(const base::Arguments& arguments) {
  nlohmann::json body{{"name", arguments.get("NAME")},
                      {"role", arguments.get("role")},
                      {"note", arguments.get_or<std::string>("note", "")},
                      {"password", read_new_password(arguments)}};
  nlohmann::json answer = ApiClient(arguments).post("/users", body);
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("The user {} exists now, as {}.\n", printable(text_of(answer["user"], "name")),
             text_of(answer["user"], "role"));
  return 0;
}

}  // namespace

base::Command user_create_command() {
  base::Command command;
  command.name = "user create";
  command.summary = "Create a user, who signs in with a name and a password";
  command.positional = {"NAME"};
  command.declare_options = declare_user_create;
  command.run = run_user_create;
  command.notes =
      "The roles tenant-operator and tenant-viewer are for one tenant, which --tenant names; the "
      "others "
      "are for all. docs/access.md says what each of them may do. A password has 12 characters or "
      "more.";
  return command;
}

}  // namespace appliance::cli
