#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "base/error.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_store_key(base::options::options_description_easy_init add) {
  declare_key(add);
  add("new-key-file", value<std::string>()->value_name("FILE"),
      "file with the key to use from now on")(
      "new-passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase to use from now on, in its first line");
}

int run_store_key(const base::Arguments& arguments) {
  images::KeySource new_key =
      images::read_key_source(arguments.get_or<std::string>("new-passphrase-file", ""),
                              arguments.get_or<std::string>("new-key-file", ""));
  if (new_key.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "give the new key: --new-key-file or --new-passphrase-file");
  }
  std::string directory = arguments.get("DIR");
  images::change_store_key(*images::open_place(directory), key_of(arguments), new_key);
  if (!print_if_json(arguments, {{"directory", directory}, {"changed", true}})) {
    fmt::print(
        "The store at {} opens with the new key only. No pack was rewritten: the old key still "
        "opens old copies of the file {}/key.\n",
        directory, directory);
  }
  return 0;
}

}  // namespace

base::Command store_key_command() {
  base::Command command;
  command.name = "store key";
  command.summary = "Change the key or passphrase of an encrypted store";
  command.positional = {"DIR"};
  command.declare_options = declare_store_key;
  command.run = run_store_key;
  return command;
}

}  // namespace appliance::cli
