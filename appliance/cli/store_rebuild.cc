#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/store/place/open_place.h"
#include "images/store/store_writer.h"

namespace appliance::cli {
namespace {

int run_store_rebuild(const base::Arguments& arguments) {
  images::RebuildReport report = images::rebuild_index(images::open_place(arguments.get("DIR")));
  if (!print_if_json(arguments, {{"packs_read", report.packs_read},
                                 {"chunks_found", report.chunks_found},
                                 {"points_found", report.points_found},
                                 {"problems", report.problems}})) {
    fmt::print("Found {} in {}, and {}.\n", base::format_count(report.chunks_found, "chunk"),
               base::format_count(report.packs_read, "pack"),
               base::format_count(report.points_found, "point"));
    for (const std::string& problem : report.problems) fmt::print("{}\n", printable(problem));
  }
  return report.problems.empty() ? 0 : base::exit_code(base::ErrorCode::corrupt);
}

}  // namespace

base::Command store_rebuild_command() {
  base::Command command;
  command.name = "store rebuild";
  command.summary = "Rebuild the index of a store from its packs and points";
  command.positional = {"DIR"};
  command.run = run_store_rebuild;
  return command;
}

}  // namespace appliance::cli
