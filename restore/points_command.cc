#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "restore/commands.h"
#include "restore/point_help.h"

namespace restore {
namespace {

// What its appliance found out about the point: "pass", "held"; empty if it has not said anything.
std::string describe_marks(images::StoreReader& store, const images::PointId& point) {
  try {
    images::PointMarks marks = store.marks(point);
    std::string text = marks.boot ? images::describe_boot_mark(*marks.boot) : "";
    if (marks.hold) text += text.empty() ? "held" : "; held";
    return text;
  } catch (const base::Error& error) {
    return "its marks cannot be read: " + error.message();
  }
}

int run_points(const base::Arguments& arguments) {
  auto store = open_store(arguments);
  std::vector<images::PointSummary> points = store->points();
  nlohmann::json list = nlohmann::json::array();
  for (const images::PointSummary& point : points) {
    if (arguments.json()) {
      list.push_back({{"id", point.id.hex()},
                      {"machine", point.machine_name},
                      {"time", base::format_time_ms(point.time_ms)},
                      {"host_time", base::format_time_ms(point.dates.host_time_ms)},
                      {"size", point.size},
                      {"consistency", images::consistency_name(point.consistency)},
                      {"marks", describe_marks(*store, point.id)}});
    } else {
      std::string marks = describe_marks(*store, point.id);
      fmt::print("{}  {}  {:>10}  {:<11}  {}{}{}\n", point.id.hex(),
                 base::format_time_ms(point.time_ms), base::format_size(point.size),
                 images::consistency_name(point.consistency), point.machine_name,
                 marks.empty() ? "" : "  ", marks);
    }
  }
  if (arguments.json()) fmt::print("{}\n", base::dump_text(nlohmann::json{{"points", list}}));
  return 0;
}

int run_disks(const base::Arguments& arguments) {
  auto store = open_store(arguments);
  images::Point point = store->read_point(store->find_point(arguments.get("POINT")));
  nlohmann::json list = nlohmann::json::array();
  for (const images::PointDisk& disk : point.disks) {
    list.push_back({{"name", disk.name}, {"size", disk.size}});
    if (!arguments.json()) fmt::print("{}  {}\n", disk.name, base::format_size(disk.size));
  }
  if (arguments.json()) {
    fmt::print("{}\n",
               base::dump_text({{"point", point.id.hex()},
                                {"machine", point.machine_name},
                                {"firmware", images::firmware_name(point.definition.firmware)},
                                {"disks", list}}));
  }
  return 0;
}

}  // namespace

base::Command disks_command() {
  base::Command command;
  command.name = "disks";
  command.summary = "List the disks of a point";
  command.positional = {"POINT"};
  command.declare_options = declare_store;
  command.run = run_disks;
  command.notes = kPointHelp;
  return command;
}

base::Command points_command() {
  base::Command command;
  command.name = "points";
  command.summary =
      "List the points of a store, and what is known of each: whether it boots, and holds";
  command.declare_options = declare_store;
  command.run = run_points;
  return command;
}

}  // namespace restore
