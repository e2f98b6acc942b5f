#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_user_disable(base::options::options_description_easy_init add) {
  add("undo", "let the user sign in again");
  declare_connection(add);
}

int run_user_disable(const base::Arguments& arguments) {
  std::string path = "/users/" + base::encode_percent(arguments.get("NAME"));
  bool is_back = arguments.has("undo");
  nlohmann::json answer = ApiClient(arguments).put(path, {{"disabled", !is_back}});
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("{} {}.\n", printable(text_of(answer["user"], "name")),
             is_back ? "can sign in again"
                     : "can no longer sign in, and tokens that this user made do not count");
  return 0;
}

}  // namespace

base::Command user_disable_command() {
  base::Command command;
  command.name = "user disable";
  command.summary = "Let a user sign in no more, and end the user's sessions";
  command.positional = {"NAME"};
  command.declare_options = declare_user_disable;
  command.run = run_user_disable;
  return command;
}

}  // namespace appliance::cli
