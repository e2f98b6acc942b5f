#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_boot_set(base::options::options_description_easy_init add) {
  using base::options::value;
  add("restart", value<std::string>()->value_name("automatic|wait"),
      "after a loss of power: start the VM again, or wait for an operator")(
      "timeline", value<std::string>()->value_name("instant|production"),
      "whose syncs continue the machine's timeline: those of this VM, or those of its host; the "
      "others are refused");
  declare_connection(add);
}

int run_boot_set(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  for (const char* name : {"restart", "timeline"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  if (body.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "nothing to change: give --restart or --timeline");
  }
  nlohmann::json answer = ApiClient(arguments).put(
      "/boots/" + base::encode_percent(arguments.get("BOOT")) + "/settings", body);
  if (!print_if_json(arguments, answer)) print_boot(answer["boot"]);
  return 0;
}

}  // namespace

base::Command boot_set_command() {
  base::Command command;
  command.name = "boot set";
  command.summary = "Change how an instant VM restarts, or whose syncs its machine gets";
  command.positional = {"BOOT"};
  command.declare_options = declare_boot_set;
  command.run = run_boot_set;
  command.notes = kBootHelp;
  return command;
}

}  // namespace appliance::cli
