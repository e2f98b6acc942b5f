#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_waiting.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_boot_wait(base::options::options_description_easy_init add) {
  declare_wait(add);
  declare_connection(add);
}

int run_boot_wait(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = fmt::format("/boots/{}/wait", base::encode_percent(arguments.get("BOOT")));
  nlohmann::json job =
      follow_accepted(client, client.post(path, wait_body(arguments)), FollowOutput::quiet);
  if (!print_if_json(arguments, {{"job", job}})) {
    fmt::print("{} {} after the start\n", printable(text_of(job["figures"], "answer")),
               duration_of(job["figures"], "since_start_ms"));
  }
  return 0;
}

}  // namespace

base::Command boot_wait_command() {
  base::Command command;
  command.name = "boot wait";
  command.summary = "Wait until a service in an instant VM answers";
  command.positional = {"BOOT"};
  command.declare_options = declare_boot_wait;
  command.run = run_boot_wait;
  command.notes = kBootHelp;
  return command;
}

}  // namespace appliance::cli
