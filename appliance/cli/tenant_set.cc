#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_tenant_set(base::options::options_description_easy_init add) {
  add("quota", value<std::string>()->value_name("SIZE"),
      "space that its store may use, such as 500GiB, or none");
  declare_connection(add);
}

int run_tenant_set(const base::Arguments& arguments) {
  if (!arguments.has("quota"))
    throw base::Error(base::ErrorCode::invalid_argument,
                      "nothing to set: give --quota SIZE or none");
  std::string quota = arguments.get("quota");
  nlohmann::json body{{"quota", nullptr}};
  if (quota != "none") body["quota"] = base::parse_size(quota);
  nlohmann::json answer =
      ApiClient(arguments).put("/tenants/" + base::encode_percent(arguments.get("TENANT")), body);
  if (!print_if_json(arguments, answer)) {
    fmt::print("The store of {} may take {} on the disk.\n", printable(arguments.get("TENANT")),
               quota == "none" ? "any amount" : size_of(answer["tenant"], "quota"));
  }
  return 0;
}

}  // namespace

base::Command tenant_set_command() {
  base::Command command;
  command.name = "tenant set";
  command.summary = "Set how much space a tenant may use";
  command.positional = {"TENANT"};
  command.declare_options = declare_tenant_set;
  command.run = run_tenant_set;
  return command;
}

}  // namespace appliance::cli
