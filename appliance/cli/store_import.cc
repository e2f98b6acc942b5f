#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/import_source.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/store_options.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"
#include "images/store/place/open_place.h"
#include "images/store/store_writer.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_store_import(base::options::options_description_easy_init add) {
  declare_import(add);
  add("base", value<std::string>()->value_name("POINT"),
      "the point since which --bitmap records changes");
  add("bitmap", value<std::string>()->value_name("NAME"),
      "read only what this dirty bitmap of the qcow2 images marks; the rest is as in --base");
  declare_key(add);
}

// The point from --base, which must be used together with --bitmap.
ImportSource::Base base_of(const base::Arguments& arguments, images::StoreReader& reader) {
  if (arguments.has("base") != arguments.has("bitmap")) {
    throw base::Error(base::ErrorCode::invalid_argument, "--base and --bitmap go together");
  }
  if (!arguments.has("base")) return {};
  return {reader.find_point(arguments.get("base")), arguments.get("bitmap")};
}

void print_outcome(const base::Arguments& arguments, const images::Point& point) {
  if (arguments.json()) {
    print_json({{"point", point.id.hex()},
                {"machine", point.machine_name},
                {"time", base::format_time_ms(point.time_ms)},
                {"bytes_read", point.figures.bytes_read},
                {"bytes_sent", point.figures.bytes_sent},
                {"bytes_stored", point.figures.bytes_stored},
                {"duration_ms", point.figures.duration_ms},
                {"note", point.note}});
    return;
  }
  fmt::print("Point {} of {}: {} read, {} stored, {}.\n", point.id.hex(),
             printable(point.machine_name), base::format_size(point.figures.bytes_read),
             base::format_size(point.figures.bytes_stored),
             base::format_duration_ms(point.figures.duration_ms));
  if (arguments.has("EXPORT")) fmt::print("  {}\n", printable(point.note));
}

int run_store_import(const base::Arguments& arguments) {
  auto writer =
      images::StoreWriter::open(images::open_place(arguments.get("DIR")), key_of(arguments));
  ImportSource source(arguments, base_of(arguments, writer->reader()));
  images::PointId id;
  {
    auto sink = writer->begin(source.plan());
    id = source.copy_to(*sink);
  }
  print_outcome(arguments, writer->reader().read_point(id));
  return 0;
}

}  // namespace

base::Command store_import_command() {
  base::Command command;
  command.name = "store import";
  command.summary = "Create a point from an exported machine, or from image files";
  command.positional = {"DIR", "EXPORT?"};
  command.declare_options = declare_store_import;
  command.run = run_store_import;
  command.notes =
      std::string(kExportHelp) +
      "\n\n"
      "Each point is complete. Chunks that the store has already are not stored again. While an "
      "appliance has the store, use 'muletto machine import'.";
  return command;
}

}  // namespace appliance::cli
