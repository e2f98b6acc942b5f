#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

void declare_store_points(base::options::options_description_easy_init add) {
  add("machine", base::options::value<std::string>()->value_name("NAME"),
      "list only the points of this machine");
  declare_key(add);
}

std::vector<images::PointSummary> points_of(images::StoreReader& reader,
                                            const base::Arguments& arguments) {
  if (!arguments.has("machine")) return reader.points();
  std::string machine = arguments.get("machine");
  std::vector<images::PointSummary> points = reader.points_of(machine);
  if (points.empty()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("the store has no point of a machine '{}'", machine));
  }
  return points;
}

int run_store_points(const base::Arguments& arguments) {
  auto reader =
      images::StoreReader::open(images::open_place(arguments.get("DIR")), key_of(arguments));
  nlohmann::json list = nlohmann::json::array();
  Table table({{"ID"}, {"MACHINE"}, {"TIME"}, {"SIZE", Align::right}, {"CONSISTENCY"}, {""}});
  for (const images::PointSummary& point : points_of(*reader, arguments)) {
    list.push_back(summary_json(point));
    table.add({point.id.hex(), point.machine_name, base::format_time_ms(point.time_ms),
               base::format_size(point.size),
               std::string(images::consistency_name(point.consistency)),
               images::clock_note(point.time_ms, point.dates)});
  }
  if (!print_if_json(arguments, {{"points", list}})) {
    table.print("There are no points.");
  }
  return 0;
}

}  // namespace

base::Command store_points_command() {
  base::Command command;
  command.name = "store points";
  command.summary = "List the points of a store, oldest first within a machine";
  command.positional = {"DIR"};
  command.declare_options = declare_store_points;
  command.run = run_store_points;
  return command;
}

}  // namespace appliance::cli
