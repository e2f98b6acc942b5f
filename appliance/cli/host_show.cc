#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_host_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/hosts/" + base::encode_percent(arguments.get("HOST")));
  if (print_if_json(arguments, answer)) return 0;
  const nlohmann::json& host = answer["host"];
  const nlohmann::json& report = host["report"];
  Sheet sheet;
  for (auto [title, field] : {std::pair{"Host", "name"},
                              {"Id", "id"},
                              {"Tenant", "tenant"},
                              {"Enrolled", "enrolled"},
                              {"Revoked", "revoked"},
                              {"Last report", "reported"}})
    sheet.add(title, printable(text_of(host, field)));
  if (report.is_object()) {
    sheet.add("Agent", printable(text_of(report, "version")));
    sheet.add("libvirt", report["libvirt_problem"].is_null()
                             ? "answers"
                             : printable(text_of(report, "libvirt_problem")));
    sheet.add("Scratch space", size_of(report, "scratch_free") + " free");
  }
  sheet.print();
  if (!report.is_object()) return 0;
  fmt::print("\n");
  Table table({{"MACHINE"}, {"KIND"}, {"RUNNING"}});
  for (const nlohmann::json& machine : report["machines"])
    table.add({text_of(machine, "name"), text_of(machine, "kind"), text_of(machine, "running")});
  table.print("It sees no machine.");
  return 0;
}

}  // namespace

base::Command host_show_command() {
  base::Command command;
  command.name = "host show";
  command.summary = "Show a host, the state of its agent and the machines it sees";
  command.positional = {"HOST"};
  command.declare_options = declare_connection;
  command.run = run_host_show;
  command.notes = "HOST is a name, an id, or a unique prefix of one.";
  return command;
}

}  // namespace appliance::cli
