#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

void declare_tenant_recompute(base::options::options_description_easy_init add) {
  add("forget", "forget the points that the store does not have");
  declare_connection(add);
}

int run_tenant_recompute(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).post("/store/recompute", {{"forget", arguments.has("forget")}});
  if (!print_if_json(arguments, answer)) {
    fmt::print("The store has {} points.\n", text_of(answer, "point_count"));
  }
  return 0;
}

}  // namespace

base::Command tenant_recompute_command() {
  base::Command command;
  command.name = "tenant recompute";
  command.summary = "Rebuild the appliance's list of points from the store";
  command.declare_options = declare_tenant_recompute;
  command.run = run_tenant_recompute;
  return command;
}

}  // namespace appliance::cli
