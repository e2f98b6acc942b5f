#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_machine_unprotect(const base::Arguments& arguments) {
  std::string path =
      fmt::format("/machines/{}/protection", base::encode_percent(arguments.get("MACHINE")));
  nlohmann::json answer = ApiClient(arguments).put(path, {{"wanted", false}});
  if (!print_if_json(arguments, answer))
    fmt::print("The machine {} is not protected any more.\n", printable(arguments.get("MACHINE")));
  return 0;
}

}  // namespace

base::Command machine_unprotect_command() {
  base::Command command;
  command.name = "machine unprotect";
  command.summary = "Stop syncing a machine on a schedule, and keep its points";
  command.positional = {"MACHINE"};
  command.declare_options = declare_connection;
  command.run = run_machine_unprotect;
  return command;
}

}  // namespace appliance::cli
