#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_boot_pull(base::options::options_description_easy_init add) {
  add("bandwidth", value<std::string>()->value_name("SIZE"),
      "limit for each disk in bytes a second, such as 50M (default: no limit)")(
      "background", "return at once; 'muletto job follow JOB' shows the progress");
  declare_connection(add);
}

int run_boot_pull(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (auto size = size_option(arguments, "bandwidth")) body["bandwidth"] = *size;
  ApiClient client(arguments);
  std::string path = fmt::format("/boots/{}/pull", base::encode_percent(arguments.get("BOOT")));
  nlohmann::json answer = client.post(path, body);
  nlohmann::json job = arguments.has("background")
                           ? answer["job"]
                           : follow_accepted(client, answer, FollowOutput::quiet);
  if (arguments.json()) {
    print_json({{"job", job}});
  } else if (arguments.has("background")) {
    fmt::print("Job {} moves {} to local storage.\n", text_of(job, "id"),
               printable(text_of(job, "subject")));
  } else {
    fmt::print("{} is on local storage; its point may be deleted.\n",
               printable(text_of(job, "subject")));
  }
  return 0;
}

}  // namespace

base::Command boot_pull_command() {
  base::Command command;
  command.name = "boot pull";
  command.summary = "Move a running instant VM to local storage";
  command.positional = {"BOOT"};
  command.declare_options = declare_boot_pull;
  command.run = run_boot_pull;
  command.notes =
      std::string(kBootHelp) +
      "\n\n"
      "The guest keeps running meanwhile. Afterwards the VM needs neither the store nor its point. "
      "If the pull is cancelled (muletto job cancel JOB) or fails, the VM keeps running as before, "
      "and the next pull copies only the rest.";
  return command;
}

}  // namespace appliance::cli
