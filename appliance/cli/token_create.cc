#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_token_create(base::options::options_description_easy_init add) {
  add("for", value<std::string>()->default_value("agent")->value_name("agent|operator"),
      "an agent's token is good for one enrolment; an operator's is for --token-file")(
      "expires", value<std::string>()->value_name("DURATION"),
      "how long it is valid, such as 1h or 7d (default: 1h for an agent, unless the appliance's "
      "settings differ; 90d for an operator, who may also have 'never')")(
      "role", value<std::string>()->value_name("ROLE"),
      "what an operator's token may do: owner, administrator (default), technician, auditor, "
      "tenant-operator or tenant-viewer; never more than you may yourself")(
      "note", value<std::string>()->value_name("TEXT"), "what it is for; shown in lists");
  declare_connection(add);
}

nlohmann::json create_body(const base::Arguments& arguments) {
  std::string whom = arguments.get("for");
  if (whom != "agent" && whom != "operator") {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("--for is agent or operator, not '{}'", whom));
  }
  nlohmann::json body{{"kind", whom == "agent" ? "enrolment" : "operator"}};
  if (arguments.has("expires")) body["expires"] = arguments.get("expires");
  if (arguments.has("role")) body["role"] = arguments.get("role");
  if (arguments.has("note")) body["note"] = arguments.get("note");
  return body;
}

int run_token_create(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post("/tokens", create_body(arguments));
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& token = answer["token"];
  Sheet sheet;
  sheet.add("Token", text_of(token, "token"));
  sheet.add("Fingerprint", text_of(token, "fingerprint"));
  sheet.add("Expires", text_of(token, "expires"));
  sheet.print();
  fmt::print("The token is shown only this once.\n");
  if (token["command"].is_string())
    fmt::print("\nOn the host, which then asks for the token:\n  {}\n",
               printable(text_of(token, "command")));
  if (token["install"].is_string())
    fmt::print(
        "\nOr, on a host without the agent, as root; it installs, enrols and starts the agent:\n"
        "  {}\n",
        printable(text_of(token, "install")));
  return 0;
}

}  // namespace

base::Command token_create_command() {
  base::Command command;
  command.name = "token create";
  command.summary = "Create a token that enrols an agent, or lets an operator connect";
  command.declare_options = declare_token_create;
  command.run = run_token_create;
  return command;
}

}  // namespace appliance::cli
