#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run(const base::Arguments& arguments) {
  std::string path = fmt::format("/boots/{}/console", encode_segment(arguments.get("BOOT")));
  nlohmann::json answer = ApiClient(arguments).get(path);
  if (arguments.json()) {
    print_json(answer);
    return 0;
  }
  const nlohmann::json& console = answer["console"];
  Sheet sheet;
  sheet.add("VNC", fmt::format("{}:{}", text_of(console, "host"), text_of(console, "vnc_port")));
  sheet.add("WebSocket",
            fmt::format("{}:{}", text_of(console, "host"), text_of(console, "websocket_port")));
  sheet.add("Password", text_of(console, "password"));
  sheet.print();
  return 0;
}

}  // namespace

base::Command boot_console_command() {
  base::Command command;
  command.name = "boot console";
  command.summary = "Tells where the screen of an instant VM is served";
  command.positional = {"BOOT"};
  command.declare_options = declare_connection;
  command.run = run;
  command.notes =
      "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant "
      "VM.";
  return command;
}

}  // namespace appliance::cli
