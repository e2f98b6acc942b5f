#include "appliance/cli/api_client.h"
#include "appliance/cli/clock_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

int run_clock_accept(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post("/clock/accept", nlohmann::json::object());
  if (!print_if_json(arguments, answer)) print_clock(answer["clock"]);
  return 0;
}

}  // namespace

base::Command clock_accept_command() {
  base::Command command;
  command.name = "clock accept";
  command.summary = "Confirm that the appliance's clock is right";
  command.declare_options = declare_connection;
  command.run = run_clock_accept;
  command.notes =
      "For a jump that was right, such as that of a clock that had stopped. Points are deleted by "
      "age from this time on: look at 'muletto clock show' first.";
  return command;
}

}  // namespace appliance::cli
