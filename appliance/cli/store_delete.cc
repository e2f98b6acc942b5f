#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/store_options.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

int run_store_delete(const base::Arguments& arguments) {
  auto writer =
      images::StoreWriter::open(images::open_place(arguments.get("DIR")), key_of(arguments));
  images::PointId id = writer->reader().find_point(arguments.get("POINT"));
  writer->delete_point(id);
  if (!print_if_json(arguments, {{"deleted", id.hex()}})) {
    fmt::print("The point {} is deleted. Its space comes back with 'muletto store compact'.\n",
               id.hex());
  }
  return 0;
}

}  // namespace

base::Command store_delete_command() {
  base::Command command;
  command.name = "store delete";
  command.summary = "Delete one point of a store";
  command.positional = {"DIR", "POINT"};
  command.declare_options = declare_key;
  command.run = run_store_delete;
  command.notes =
      std::string(kPointHelp) + "\n\nIt cannot be undone. 'muletto store compact' frees the space.";
  return command;
}

}  // namespace appliance::cli
