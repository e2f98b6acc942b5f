#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_sheet.h"

namespace appliance::cli {
namespace {

int run(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/store");
  if (arguments.json()) {
    print_json(answer);
  } else {
    print_store_figures(answer["store"]);
  }
  return 0;
}

}  // namespace

base::Command tenant_info_command() {
  base::Command command;
  command.name = "tenant info";
  command.summary = "Shows what the tenant's store holds";
  command.declare_options = declare_connection;
  command.run = run;
  return command;
}

}  // namespace appliance::cli
