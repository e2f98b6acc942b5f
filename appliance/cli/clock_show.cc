#include "appliance/cli/api_client.h"
#include "appliance/cli/clock_sheet.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

int run_clock_show(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/clock");
  if (!print_if_json(arguments, answer)) print_clock(answer["clock"]);
  return 0;
}

}  // namespace

base::Command clock_show_command() {
  base::Command command;
  command.name = "clock show";
  command.summary = "Show whether the appliance's clock is trusted";
  command.declare_options = declare_connection;
  command.run = run_clock_show;
  command.notes =
      "A clock that jumped is not trusted: nothing is deleted by age until it is right again, has "
      "been "
      "synchronized for a day, or is accepted with 'muletto clock accept'.";
  return command;
}

}  // namespace appliance::cli
