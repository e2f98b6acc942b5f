#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/tracking.h"

namespace agent::cli {
namespace {

int run(const base::Arguments& arguments) {
  Config config = common_config(arguments);
  auto records = list_tracking(config.state_directory);
  if (arguments.json()) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [machine, record] : records) {
      list.push_back({{"machine", machine},
                      {"last_point", record.point.hex()},
                      {"checkpoint", record.checkpoint},
                      {"tracked_disks", record.disks}});
    }
    fmt::print("{}\n",
               nlohmann::json{{"state_dir", config.state_directory}, {"tracked", list}}.dump(2));
    return 0;
  }
  if (records.empty())
    fmt::print("no machine's changes are being tracked (state in {})\n", config.state_directory);
  for (const auto& [machine, record] : records) {
    fmt::print("{:<24} changes of {} tracked since point {}\n", machine,
               fmt::join(record.disks, ", "), record.point.hex());
  }
  return 0;
}

}  // namespace

base::Command status_command() {
  base::Command command;
  command.name = "status";
  command.summary = "Shows which machines' changes this agent tracks, and since which point";
  command.declare_options = declare_common_options;
  command.run = run;
  return command;
}

}  // namespace agent::cli
