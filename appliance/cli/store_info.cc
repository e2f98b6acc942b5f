#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "appliance/cli/store_sheet.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

int run_store_info(const base::Arguments& arguments) {
  std::string directory = arguments.get("DIR");
  nlohmann::json store = figures_json(images::read_figures(images::open_place(directory)));
  auto reader = images::StoreReader::open(images::open_place(directory), key_of(arguments));
  store["id"] = reader->id().hex();
  store["directory"] = directory;
  if (!print_if_json(arguments, {{"store", store}})) {
    print_store_figures(store);
  }
  return 0;
}

}  // namespace

base::Command store_info_command() {
  base::Command command;
  command.name = "store info";
  command.summary = "Show what a store holds";
  command.positional = {"DIR"};
  command.declare_options = declare_key;
  command.run = run_store_info;
  return command;
}

}  // namespace appliance::cli
