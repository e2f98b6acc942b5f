#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "base/text.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

int run_store_compact(const base::Arguments& arguments) {
  auto writer =
      images::StoreWriter::open(images::open_place(arguments.get("DIR")), key_of(arguments));
  images::CompactResult result = writer->compact();
  if (!print_if_json(arguments, {{"packs_rewritten", result.packs_rewritten},
                                 {"bytes_freed", result.bytes_freed}})) {
    fmt::print("{} rewritten, {} freed.\n", base::format_count(result.packs_rewritten, "pack"),
               base::format_size(result.bytes_freed));
  }
  return 0;
}

}  // namespace

base::Command store_compact_command() {
  base::Command command;
  command.name = "store compact";
  command.summary = "Free the space of deleted points in a store";
  command.positional = {"DIR"};
  command.declare_options = declare_key;
  command.run = run_store_compact;
  return command;
}

}  // namespace appliance::cli
