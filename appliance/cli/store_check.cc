#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

void declare_store_check(base::options::options_description_easy_init add) {
  add("deep", "also decode every chunk and compare its hash; an encrypted store needs its key");
  declare_key(add);
}

nlohmann::json report_json(const images::CheckReport& report) {
  nlohmann::json damaged = nlohmann::json::array();
  for (const images::PointSummary& point : report.damaged) damaged.push_back(summary_json(point));
  return {{"good", report.good()},
          {"packs_checked", report.packs_checked},
          {"chunks_checked", report.chunks_checked},
          {"points_checked", report.points_checked},
          {"problems", report.problems},
          {"damaged_points", damaged}};
}

void print_report(const images::CheckReport& report) {
  fmt::print("{} in {} and {} were checked.\n", base::format_count(report.chunks_checked, "chunk"),
             base::format_count(report.packs_checked, "pack"),
             base::format_count(report.points_checked, "point"));
  for (const std::string& problem : report.problems) fmt::print("{}\n", printable(problem));
  for (const images::PointSummary& point : report.damaged) {
    fmt::print("damaged: {} of {}, {}\n", point.id.hex(), printable(point.machine_name),
               base::format_time_ms(point.time_ms));
  }
  fmt::print("{}\n", report.good() ? "The store is good." : "THE STORE IS DAMAGED.");
}

int run_store_check(const base::Arguments& arguments) {
  images::CheckOptions options;
  options.deep = arguments.has("deep");
  base::TerminalLine line;
  options.on_progress = [&](uint64_t done, uint64_t total) {
    line.show("checking", {.done = done, .total = total});
  };
  images::CheckReport report =
      images::check_store(images::open_place(arguments.get("DIR")), key_of(arguments), options);
  line.clear();
  if (!print_if_json(arguments, report_json(report))) {
    print_report(report);
  }
  return report.good() ? 0 : base::exit_code(base::ErrorCode::corrupt);
}

}  // namespace

base::Command store_check_command() {
  base::Command command;
  command.name = "store check";
  command.summary = "Verify that every point of a store can be read";
  command.positional = {"DIR"};
  command.declare_options = declare_store_check;
  command.run = run_store_check;
  command.notes =
      "Exit code 8 if anything is damaged. Damaged chunks are sent again by the next sync that "
      "contains them.";
  return command;
}

}  // namespace appliance::cli
