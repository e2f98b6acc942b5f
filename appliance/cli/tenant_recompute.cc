#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

int run(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).post("/store/recompute", nlohmann::json::object());
  if (arguments.json()) {
    print_json(answer);
  } else {
    fmt::print("The store has {} points.\n", text_of(answer, "point_count"));
  }
  return 0;
}

}  // namespace

base::Command tenant_recompute_command() {
  base::Command command;
  command.name = "tenant recompute";
  command.summary = "Makes the appliance's list of points anew from the store";
  command.declare_options = declare_connection;
  command.run = run;
  return command;
}

}  // namespace appliance::cli
