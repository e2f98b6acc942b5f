#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/failback_sheet.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;
using nlohmann::json;
using Words = std::vector<std::string>;

void declare_failback_start(base::options::options_description_easy_init add) {
  add("in-place", "to the disks that the machine has on the host, and as it is defined there");
  add("folder", value<std::string>()->value_name("DIR"),
      "to new files in this folder of the host; the machine is defined there");
  add("format", value<std::string>()->value_name("qcow2|raw"),
      "format of new files (default: qcow2)");
  add("name", value<std::string>()->value_name("NAME"), "with --folder: under another name");
  add("network", value<Words>()->value_name("OLD=NEW"),
      "with --folder: connect cards that were on OLD (a network, or 'bridge br0') to NEW");
  add("overwrite", value<std::string>()->value_name("MACHINE"),
      "overwrite what is not empty: the machine's name confirms it");
  add("erase-foreign", "with --overwrite: also what belongs to something else");
  add("now", "switch as soon as home has caught up");
  add("at", value<std::string>()->value_name("TIME"), "switch at this time, or soon after it");
  add("limit", value<std::string>()->value_name("DURATION"),
      "do not switch while the predicted pause is longer, such as 30s");
  add("bandwidth", value<std::string>()->value_name("SIZE"),
      "limit in bytes a second until the switch, such as 50M (default: no limit)");
  add("shutdown-time", value<std::string>()->value_name("DURATION"),
      "how long the guest may take to shut down (default: 5m)");
  add("power-off", "switch the VM off instead of asking its guest to shut down");
  add("keep", value<std::string>()->value_name("DURATION"),
      "keep the VM's writes here for so long after it went home (default: 7d)");
  declare_connection(add);
}

json failback_body(const base::Arguments& arguments) {
  json body{{"boot", arguments.get("BOOT")}, {"host", arguments.get("HOST")}};
  for (const char* name : {"folder", "format", "name", "overwrite", "at"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  if (arguments.has("in-place")) body["in_place"] = true;
  if (arguments.has("erase-foreign")) body["erase_foreign"] = true;
  if (arguments.has("now")) body["finish"] = true;
  if (arguments.has("power-off")) body["end"] = "power-off";
  for (auto [field, option] : {std::pair("limit_ms", "limit"), std::pair("keep_ms", "keep"),
                               std::pair("shutdown_ms", "shutdown-time")}) {
    if (arguments.has(option)) body[field] = base::parse_duration_ms(arguments.get(option));
  }
  if (auto rate = size_option(arguments, "bandwidth")) body["bandwidth"] = *rate;
  for (const std::string& text : arguments.list("network")) {
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        fmt::format("--network is OLD=NEW, not '{}'", text));
    }
    body["networks"].push_back({{"from", text.substr(0, equals)}, {"to", text.substr(equals + 1)}});
  }
  return body;
}

int run_failback_start(const base::Arguments& arguments) {
  json answer = ApiClient(arguments).post("/failbacks", failback_body(arguments));
  if (!print_if_json(arguments, answer)) print_failback(answer["failback"]);
  return 0;
}

}  // namespace

base::Command failback_start_command() {
  base::Command command;
  command.name = "failback start";
  command.summary = "Bring a running instant VM home to a host, while it works on";
  command.positional = {"BOOT", "HOST"};
  command.declare_options = declare_failback_start;
  command.run = run_failback_start;
  command.notes =
      std::string(kBootHelp) +
      "\n\n"
      "Home gets the point that the VM was booted from (of disks that hold an older state only "
      "what "
      "differs), and then again and again what the VM has written since. When little is left, home "
      "is ready: the switch waits for 'muletto failback finish', --at or --now. It ends the VM, "
      "brings the last difference home, reads back what was written, and starts the machine there. "
      "What the VM wrote here is kept for a while.\n\n"
      "At no time can both run, and nothing that the guest flushed is lost, whatever fails: the "
      "failback goes on by itself, or the machine runs here again, and 'muletto failback show' "
      "says "
      "which. The machine's disks need an agent at home; for others, stop the VM and use 'muletto "
      "restore'. A running guest does not move without a pause: live migration is not supported.";
  return command;
}

}  // namespace appliance::cli
