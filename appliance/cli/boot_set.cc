#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_options(base::options::options_description_easy_init add) {
  using base::options::value;
  add("restart", value<std::string>()->value_name("WHEN"),
      "after a loss of power: automatic or wait")(
      "timeline", value<std::string>()->value_name("WHOSE"),
      "instant: this VM's syncs go on into the machine's timeline, those of its host are refused; "
      "production: the other way round");
  declare_connection(add);
}

int run(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  for (const char* name : {"restart", "timeline"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  if (body.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "say what is to change: --restart or --timeline");
  }
  nlohmann::json answer = ApiClient(arguments).put(
      "/boots/" + base::encode_percent(arguments.get("BOOT")) + "/settings", body);
  if (arguments.json()) print_json(answer);
  else print_boot(answer["boot"]);
  return 0;
}

}  // namespace

base::Command boot_set_command() {
  base::Command command;
  command.name = "boot set";
  command.summary = "Change the settings of an instant VM: restarts, timeline";
  command.positional = {"BOOT"};
  command.declare_options = declare_options;
  command.run = run;
  command.notes =
      "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant "
      "VM.";
  return command;
}

}  // namespace appliance::cli
