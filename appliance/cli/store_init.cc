#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "base/error.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_store_init(base::options::options_description_easy_init add) {
  add("encrypt", "encrypt the store; needs --key-file or --passphrase-file")(
      "chunk-size", value<std::string>()->value_name("SIZE"),
      "size of a chunk, a power of two from 4K to 1M (default: 64K)");
  declare_key(add);
}

int run_store_init(const base::Arguments& arguments) {
  images::InitOptions options;
  options.key = key_of(arguments);
  bool encrypt = arguments.has("encrypt");
  if (encrypt && options.key.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "--encrypt needs --key-file or --passphrase-file");
  }
  if (!encrypt && !options.key.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument, "a key is of use only with --encrypt");
  }
  if (auto size = size_option(arguments, "chunk-size")) {
    if (*size > UINT32_MAX)
      throw base::Error(base::ErrorCode::invalid_argument, "--chunk-size is at most 1M");
    options.chunk_size = static_cast<uint32_t>(*size);
  }
  std::string directory = arguments.get("DIR");
  images::init_store(*images::open_place(directory), options);
  if (!print_if_json(
          arguments,
          {{"directory", directory}, {"encrypted", encrypt}, {"chunk_size", options.chunk_size}})) {
    fmt::print("Made {} store at {}.\n", encrypt ? "an encrypted" : "a", directory);
  }
  return 0;
}

}  // namespace

base::Command store_init_command() {
  base::Command command;
  command.name = "store init";
  command.summary = "Create a store in a new or empty folder";
  command.positional = {"DIR"};
  command.declare_options = declare_store_init;
  command.run = run_store_init;
  return command;
}

}  // namespace appliance::cli
