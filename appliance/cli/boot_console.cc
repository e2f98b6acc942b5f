#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_boot_console(const base::Arguments& arguments) {
  std::string path = fmt::format("/boots/{}/console", base::encode_percent(arguments.get("BOOT")));
  ApiClient client(arguments);
  nlohmann::json answer = client.get(path);
  answer["ticket"] = client.post(path + "/ticket", nlohmann::json::object())["ticket"];
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& console = answer["console"];
  Sheet sheet;
  sheet.add("Link", text_of(answer["ticket"], "url"));
  sheet.add("Good once, until", text_of(answer["ticket"], "expires"));
  sheet.add("VNC", fmt::format("{}:{}", text_of(console, "host"), text_of(console, "vnc_port")));
  sheet.add("Password", text_of(console, "password"));
  sheet.print();
  return 0;
}

}  // namespace

base::Command boot_console_command() {
  base::Command command;
  command.name = "boot console";
  command.summary = "Print a link to the screen of an instant VM";
  command.positional = {"BOOT"};
  command.declare_options = declare_connection;
  command.run = run_boot_console;
  command.notes =
      std::string(kBootHelp) +
      "\n\n"
      "The link opens the screen in a browser, once and without a login. The VNC port and its "
      "password are for a program on the appliance itself.";
  return command;
}

}  // namespace appliance::cli
