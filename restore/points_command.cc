#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_access.h"
#include "base/text.h"
#include "restore/commands.h"

namespace restore {
namespace {

int run_points(const base::Arguments& arguments) {
  std::vector<images::PointSummary> points = open_store(arguments)->points();
  nlohmann::json list = nlohmann::json::array();
  for (const images::PointSummary& point : points) {
    if (arguments.json()) {
      list.push_back({{"id", point.id.hex()},
                      {"machine", point.machine_name},
                      {"time", base::format_time_ms(point.time_ms)},
                      {"host_time", base::format_time_ms(point.dates.host_time_ms)},
                      {"size", point.size},
                      {"consistency", images::consistency_name(point.consistency)}});
    } else {
      fmt::print("{}  {}  {:>10}  {:<11}  {}\n", point.id.hex(),
                 base::format_time_ms(point.time_ms), base::format_size(point.size),
                 images::consistency_name(point.consistency), point.machine_name);
    }
  }
  if (arguments.json()) fmt::print("{}\n", base::dump_text(nlohmann::json{{"points", list}}));
  return 0;
}

}  // namespace

base::Command points_command() {
  base::Command command;
  command.name = "points";
  command.summary = "List the points of a store";
  command.declare_options = declare_store;
  command.run = run_points;
  return command;
}

}  // namespace restore
