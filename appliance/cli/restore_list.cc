#include <fmt/format.h>

#include <array>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

void declare_restore_list(base::options::options_description_easy_init add) {
  add("machine", base::options::value<std::string>()->value_name("MACHINE"),
      "list only the restores of this machine");
  declare_connection(add);
}

std::string outcome_of(const json& restore) {
  if (restore["error"].is_object()) return text_of(restore["error"], "message");
  return text_of(restore["progress"], "phase");
}

// "host hv1", "folder first"
std::string target_of(const json& restore) {
  if (!restore["target"].is_object()) return "";
  return text_of(restore["target"], "kind") + " " + text_of(restore["target"], "name");
}

int run_restore_list(const base::Arguments& arguments) {
  std::string path = "/restores";
  if (arguments.has("machine"))
    path += "?machine=" + base::encode_percent(arguments.get("machine"));
  json answer = ApiClient(arguments).get(path);
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["restores"], {{"RESTORE", Align::right},
                                         {"MACHINE"},
                                         {"POINT"},
                                         {"TARGET"},
                                         {"STATE"},
                                         {"STARTED"},
                                         {"TOOK", Align::right},
                                         {"OUTCOME"}});
  for (const json& restore : answer["restores"]) {
    table.add(restore, {text_of(restore, "id"), text_of(restore, "subject"),
                        short_id(restore["figures"], "point"), target_of(restore),
                        text_of(restore, "state"), text_of(restore, "started"),
                        duration_of(restore, "duration_ms"), outcome_of(restore)});
  }
  table.print("There are no restores.");
  return 0;
}

void declare_restore_show(base::options::options_description_easy_init add) {
  declare_connection(add);
}

int run_restore_show(const base::Arguments& arguments) {
  json answer =
      ApiClient(arguments).get("/restores/" + base::encode_percent(arguments.get("RESTORE")));
  if (print_if_json(arguments, answer)) return 0;
  const json &restore = answer["restore"], &progress = restore["progress"],
             &figures = restore["figures"];
  Sheet sheet;
  sheet.add("Restore", text_of(restore, "id"));
  sheet.add("Machine", text_of(restore, "subject"));
  sheet.add("Point", text_of(figures, "point"));
  sheet.add("Target", target_of(restore));
  sheet.add("Folder", text_of(figures, "folder"));
  sheet.add("State", text_of(restore, "state"));
  sheet.add("Started", text_of(restore, "started"));
  sheet.add("Took", duration_of(restore, "duration_ms"));
  if (text_of(restore, "state") == "running") {
    sheet.add("Now", text_of(progress, "phase"));
    sheet.add("Done", size_of(progress, "done") + " of " + size_of(progress, "total"));
    sheet.add("Rate", size_of(progress, "rate") + "/s");
    sheet.add("Left", duration_of(progress, "left_ms"));
  }
  for (auto [title, field] :
       std::array<std::pair<const char*, const char*>, 6>{{{"Size", "size"},
                                                           {"Differs", "differing"},
                                                           {"Saved", "saved"},
                                                           {"Written", "written"},
                                                           {"Read back", "read_back"},
                                                           {"Received", "received"}}}) {
    if (restore[field].is_number()) sheet.add(title, size_of(restore, field));
  }
  if (restore["error"].is_object()) sheet.add("Error", text_of(restore["error"], "message"));
  for (const json& disk : figures.value("disks", json::array())) {
    sheet.add(text_of(disk, "disk"), size_of(disk, "written") + " written, " +
                                         size_of(disk, "verified") + " read back, of " +
                                         size_of(disk, "size"));
  }
  sheet.print();
  return 0;
}

}  // namespace

base::Command restore_list_command() {
  base::Command command;
  command.name = "restore list";
  command.summary = "List restores, newest first";
  command.declare_options = declare_restore_list;
  command.run = run_restore_list;
  return command;
}

base::Command restore_show_command() {
  base::Command command;
  command.name = "restore show";
  command.summary = "Show how far a restore is, or how it ended";
  command.positional = {"RESTORE"};
  command.declare_options = declare_restore_show;
  command.run = run_restore_show;
  return command;
}

}  // namespace appliance::cli
