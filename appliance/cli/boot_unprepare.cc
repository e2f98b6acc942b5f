#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_boot_unprepare(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post(
      "/boots/" + base::encode_percent(arguments.get("BOOT")) + "/unprepare",
      nlohmann::json::object());
  if (!print_if_json(arguments, answer)) print_boot(answer["boot"]);
  return 0;
}

}  // namespace

base::Command boot_unprepare_command() {
  base::Command command;
  command.name = "boot unprepare";
  command.summary = "Take back what was changed in the Windows of an instant VM";
  command.positional = {"BOOT"};
  command.declare_options = declare_connection;
  command.run = run_boot_unprepare;
  command.notes =
      std::string(kBootHelp) +
      "\n\n"
      "A Windows that starts on other hardware has drivers switched on in its registry before its "
      "first start. Before it returns to the hardware it came from, this sets them back as they "
      "were, in the VM's own disks. Shut the Windows down first. A value that Windows or a person "
      "has changed since stays as it is.";
  return command;
}

}  // namespace appliance::cli
