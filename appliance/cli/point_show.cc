#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void print_point(const nlohmann::json& point) {
  Sheet sheet;
  sheet.add("Point", text_of(point, "id"));
  sheet.add("Machine", text_of(point, "machine"));
  sheet.add("Time", text_of(point, "time"));
  sheet.add("Time on its host", text_of(point, "host_time"));
  if (!point["clock_note"].is_null()) sheet.add("Clock", text_of(point, "clock_note"));
  sheet.add("Captured on", text_of(point, "host"));
  sheet.add("Consistency", text_of(point, "consistency"));
  if (!point["parent"].is_null()) sheet.add("Changes since point", text_of(point, "parent"));
  if (const nlohmann::json& origin = point["origin"]; !origin.is_null()) {
    sheet.add("Copy from store", text_of(origin, "store"));
  }
  if (const nlohmann::json& tested = point["tested_elsewhere"]; !tested.is_null()) {
    sheet.add("Tested elsewhere", fmt::format("{} at {} by the appliance {}, not by this one",
                                              text_of(tested, "verdict"), text_of(tested, "tested"),
                                              text_of(tested, "appliance")));
  }
  for (const nlohmann::json& disk : point["disks"]) {
    sheet.add("Disk", fmt::format("{}, {}", text_of(disk, "name"), size_of(disk, "size")));
  }
  const nlohmann::json& definition = point["definition"];
  sheet.add("Firmware", text_of(definition, "firmware"));
  sheet.add("CPUs", text_of(definition, "cpu_count"));
  sheet.add("Memory", size_of(definition, "memory_size"));
  const nlohmann::json& figures = point["figures"];
  sheet.add("Read", size_of(figures, "bytes_read"));
  sheet.add("Sent", size_of(figures, "bytes_sent"));
  sheet.add("Stored", size_of(figures, "bytes_stored"));
  sheet.add("Sync took", duration_of(figures, "duration_ms"));
  sheet.add("Note", text_of(point, "note"));
  sheet.print();
}

int run_point_show(const base::Arguments& arguments) {
  nlohmann::json answer =
      ApiClient(arguments).get("/points/" + base::encode_percent(arguments.get("POINT")));
  if (!print_if_json(arguments, answer)) {
    print_point(answer["point"]);
  }
  return 0;
}

}  // namespace

base::Command point_show_command() {
  base::Command command;
  command.name = "point show";
  command.summary = "Show one point";
  command.positional = {"POINT"};
  command.declare_options = declare_connection;
  command.run = run_point_show;
  command.notes = kPointHelp;
  return command;
}

}  // namespace appliance::cli
