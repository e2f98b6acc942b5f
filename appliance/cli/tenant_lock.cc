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

void declare_tenant_lock(base::options::options_description_easy_init add) {
  add("days", value<std::string>()->required()->value_name("COUNT"),
      "no point younger than that can be removed by anybody; 0 lifts the lock");
  declare_connection(add);
}

int run_tenant_lock(const base::Arguments& arguments) {
  auto days = number_option(arguments, "days", 0, 3650);
  std::string path = "/tenants/" + base::encode_percent(arguments.get("TENANT")) + "/lock";
  nlohmann::json answer = ApiClient(arguments).put(path, {{"days", days.value_or(0)}});
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& lock = answer["tenant"]["lock"];
  if (lock["next_days"].is_null())
    fmt::print("Points of {} younger than {} days can be removed by nobody.\n",
               printable(arguments.get("TENANT")), text_of(lock, "days"));
  else
    fmt::print("The lock of {} stays at {} days for another {}, and then has {}.\n",
               printable(arguments.get("TENANT")), text_of(lock, "days"),
               duration_of(lock, "next_in_ms"), text_of(lock, "next_days"));
  return 0;
}

}  // namespace

base::Command tenant_lock_command() {
  base::Command command;
  command.name = "tenant lock";
  command.summary = "Keep a tenant's points from being removed too early, by anybody";
  command.positional = {"TENANT"};
  command.declare_options = declare_tenant_lock;
  command.run = run_tenant_lock;
  command.notes =
      "Days are counted while the appliance runs, by a clock that nobody can set. A lock is raised "
      "at "
      "once, and lowered only after as many days as it has.";
  return command;
}

}  // namespace appliance::cli
