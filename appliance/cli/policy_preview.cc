#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_policy_preview(base::options::options_description_easy_init add) {
  using base::options::value;
  add("machine", value<std::string>()->value_name("MACHINE"), "show only this machine")(
      "keep", value<std::string>()->value_name("RULE"),
      "show what this rule would keep, such as 'last 24, daily 14', instead of the policy's");
  declare_connection(add);
}

std::string query_of(const base::Arguments& arguments) {
  std::string query;
  auto add = [&](const char* field, const char* argument) {
    if (!arguments.has(argument)) return;
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', field,
                         base::encode_percent(arguments.get(argument)));
  };
  add("policy", "POLICY");
  add("machine", "machine");
  add("keep", "keep");
  return query;
}

void print_machine(const nlohmann::json& machine) {
  const nlohmann::json& points = machine["points"];
  fmt::print("{} (policy {}, keep {}): {} of {} would be removed.\n",
             printable(text_of(machine, "machine")), printable(text_of(machine, "policy")),
             printable(text_of(machine, "keep")), text_of(machine, "going"),
             base::format_count(points.size(), "point"));
  if (!machine["held"].is_null())
    fmt::print("Nothing goes now: {}.\n", printable(text_of(machine, "held")));
  Table table({{"ID"}, {"TIME"}, {""}, {"WHY"}});
  for (const nlohmann::json& point : points) {
    table.add({short_id(point, "id"), text_of(point, "time"),
               point.value("stays", true) ? "stays" : "GOES", reasons_of(point)});
  }
  table.print("It has no points.");
}

int run_policy_preview(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/retention" + query_of(arguments));
  if (print_if_json(arguments, answer)) return 0;
  bool is_first = true;
  for (const nlohmann::json& machine : answer["machines"]) {
    if (!is_first) fmt::print("\n");
    is_first = false;
    print_machine(machine);
  }
  return 0;
}

}  // namespace

base::Command policy_preview_command() {
  base::Command command;
  command.name = "policy preview";
  command.summary = "Show for each point what keeps it, or why it would be deleted";
  command.positional = {"POLICY?"};
  command.declare_options = declare_policy_preview;
  command.run = run_policy_preview;
  command.notes =
      "Nothing is changed. Without POLICY and --machine all protected machines are shown. The time "
      "of a point is when the appliance received it.";
  return command;
}

}  // namespace appliance::cli
