#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_sheet.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run_tenant_info(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/store");
  if (!print_if_json(arguments, answer)) {
    const nlohmann::json& store = answer["store"];
    const nlohmann::json& standing = store["standing"];
    bool is_ready = standing["problem"].is_null();
    Sheet sheet;
    sheet.add("Store", is_ready ? text_of(standing, "state")
                                : text_of(standing, "state") + ": " + text_of(standing, "problem"));
    sheet.add("Encrypted", text_of(standing, "encrypted"));
    sheet.add("Points known", text_of(store, "known_point_count"));
    sheet.add("Points missing", text_of(standing, "missing_point_count"));
    sheet.print();
    if (store.contains("point_count")) print_store_figures(store);
  }
  return 0;
}

}  // namespace

base::Command tenant_info_command() {
  base::Command command;
  command.name = "tenant info";
  command.summary = "Show what the tenant's store holds";
  command.declare_options = declare_connection;
  command.run = run_tenant_info;
  return command;
}

}  // namespace appliance::cli
