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

void declare_user_set_password(base::options::options_description_easy_init add) {
  declare_password(add);
  declare_connection(add);
}

int run_user_set_password(const base::Arguments& arguments) {
  std::string path = "/users/" + base::encode_percent(arguments.get("NAME")) + "/password";
  nlohmann::json answer =
      ApiClient(arguments).put(path, {{"password", read_new_password(arguments)}});
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("{} has a new password, and signs in again.\n",
             printable(text_of(answer["user"], "name")));
  return 0;
}

}  // namespace

base::Command user_password_command() {
  base::Command command;
  command.name = "user set-password";
  command.summary = "Set a user's password, and end the user's sessions";
  command.positional = {"NAME"};
  command.declare_options = declare_user_set_password;
  command.run = run_user_set_password;
  return command;
}

}  // namespace appliance::cli
