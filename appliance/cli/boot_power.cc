#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_boot_power(const base::Arguments& arguments) {
  std::string path = fmt::format("/boots/{}/power", base::encode_percent(arguments.get("BOOT")));
  nlohmann::json answer = ApiClient(arguments).post(path, {{"action", arguments.get("ACTION")}});
  if (!print_if_json(arguments, answer)) {
    fmt::print("The instant VM of {} is {}.\n", printable(text_of(answer["boot"], "machine")),
               text_of(answer["boot"], "state"));
  }
  return 0;
}

}  // namespace

base::Command boot_power_command() {
  base::Command command;
  command.name = "boot power";
  command.summary = "Power an instant VM on or off, shut it down, reset, pause or resume it";
  command.positional = {"BOOT", "ACTION"};
  command.values = {{"ACTION", "shutdown|reset|pause|resume|power-off|power-on"}};
  command.declare_options = declare_connection;
  command.run = run_boot_power;
  command.notes =
      std::string(kBootHelp) +
      "\n\nACTION is shutdown (asks the guest), reset, pause, resume, power-off or power-on.";
  return command;
}

}  // namespace appliance::cli
