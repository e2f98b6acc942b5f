#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_boot_screenshot(const base::Arguments& arguments) {
  std::string path =
      fmt::format("/boots/{}/screenshot", base::encode_percent(arguments.get("BOOT")));
  base::HttpResponse picture = ApiClient(arguments).download(path);
  std::string file = arguments.get("FILE");
  base::write_file_durably(base::real_file_system(), file, base::as_bytes(picture.body));
  if (!print_if_json(
          arguments,
          {{"file", file}, {"type", picture.content_type}, {"size", picture.body.size()}})) {
    fmt::print("{}: {}, {} bytes\n", file, printable(picture.content_type), picture.body.size());
  }
  return 0;
}

}  // namespace

base::Command boot_screenshot_command() {
  base::Command command;
  command.name = "boot screenshot";
  command.summary = "Save the screen of an instant VM as a PNG picture";
  command.positional = {"BOOT", "FILE"};
  command.declare_options = declare_connection;
  command.run = run_boot_screenshot;
  command.notes = kBootHelp;
  return command;
}

}  // namespace appliance::cli
