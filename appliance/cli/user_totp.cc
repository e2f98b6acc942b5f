#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_user_totp(base::options::options_description_easy_init add) {
  add("code", value<std::string>()->value_name("CODE"),
      "confirm the second factor with a first code of the app")("remove",
                                                                "the user signs in without a code");
  declare_connection(add);
}

int run_user_totp(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = "/users/" + base::encode_percent(arguments.get("NAME")) + "/totp";
  if (arguments.has("remove")) {
    nlohmann::json answer = client.remove(path);
    if (!print_if_json(arguments, answer))
      fmt::print("{} signs in without a code now.\n", printable(arguments.get("NAME")));
    return 0;
  }
  if (arguments.has("code")) {
    nlohmann::json answer = client.put(path, {{"code", arguments.get("code")}});
    if (print_if_json(arguments, answer)) return 0;
    fmt::print(
        "From now on a code is needed. Keep these recovery codes, each good for one "
        "sign-in; they are shown only this once:\n");
    for (const nlohmann::json& code : answer["recovery_codes"])
      fmt::print("  {}\n", code.is_string() ? code.get<std::string>() : "");
    return 0;
  }
  nlohmann::json answer = client.post(path, nlohmann::json::object());
  if (print_if_json(arguments, answer)) return 0;
  Sheet sheet;
  sheet.add("Secret", text_of(answer["totp"], "secret"));
  sheet.add("Address", text_of(answer["totp"], "address"));
  sheet.print();
  fmt::print(
      "Enter the secret in an authenticator app; it is shown only this once. It counts after "
      "'muletto user totp {} --code CODE', with a code of the app.\n",
      printable(arguments.get("NAME")));
  return 0;
}

}  // namespace

base::Command user_totp_command() {
  base::Command command;
  command.name = "user totp";
  command.summary = "Give a user a second factor, confirm it, or remove it";
  command.positional = {"NAME"};
  command.declare_options = declare_user_totp;
  command.run = run_user_totp;
  return command;
}

}  // namespace appliance::cli
