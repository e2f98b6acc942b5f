#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_machine_protect(base::options::options_description_easy_init add) {
  add("policy", base::options::value<std::string>()->value_name("POLICY"),
      "the policy to use; '' for the tenant's default (default: the one it has)");
  declare_connection(add);
}

int run_machine_protect(const base::Arguments& arguments) {
  nlohmann::json body{{"wanted", true}};
  if (arguments.has("policy")) body["policy"] = arguments.get("policy");
  std::string path =
      fmt::format("/machines/{}/protection", base::encode_percent(arguments.get("MACHINE")));
  nlohmann::json answer = ApiClient(arguments).put(path, body);
  if (!print_if_json(arguments, answer)) {
    fmt::print("The machine {} is protected by the policy {}; due next: {}.\n",
               printable(arguments.get("MACHINE")),
               printable(text_of(answer["protection"], "policy")),
               text_of(answer["protection"], "next_due"));
  }
  return 0;
}

}  // namespace

base::Command machine_protect_command() {
  base::Command command;
  command.name = "machine protect";
  command.summary = "Sync a machine on its policy's schedule from now on";
  command.positional = {"MACHINE"};
  command.declare_options = declare_machine_protect;
  command.run = run_machine_protect;
  return command;
}

}  // namespace appliance::cli
