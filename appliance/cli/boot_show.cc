#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_boot_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/boots/" + base::encode_percent(arguments.get("BOOT")));
  if (!print_if_json(arguments, answer)) {
    print_boot(answer["boot"]);
  }
  return 0;
}

}  // namespace

base::Command boot_show_command() {
  base::Command command;
  command.name = "boot show";
  command.summary = "Show one instant VM";
  command.positional = {"BOOT"};
  command.declare_options = declare_connection;
  command.run = run_boot_show;
  command.notes = kBootHelp;
  return command;
}

}  // namespace appliance::cli
