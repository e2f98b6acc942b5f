#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/homeward/host_restore.h"
#include "agent/homeward/restore_report.h"
#include "agent/state_layout.h"
#include "base/json_access.h"
#include "base/private_file.h"

namespace agent::cli {
namespace {

constexpr size_t kMaxOrder = 256 << 10;  // bytes

int run_restore(const base::Arguments& arguments, std::stop_token stop) {
  Config config = common_config(arguments);
  make_agent_directories(config.state_directory, config.run_directory);
  std::string text = base::read_private_file(arguments.get("ORDER"), kMaxOrder);
  homeward::RestoreOrder order = homeward::parse_restore_order(base::parse_json(text, "the order"));
  std::string report = arguments.get_or<std::string>("report-file", "");
  auto tell = [&](const homeward::RestoreStanding& standing) {
    if (!report.empty()) homeward::write_report_file(report, homeward::standing_json(standing));
  };
  homeward::RestoreStanding standing =
      homeward::restore_to_host(order, config, arguments.get("work-directory"), tell, stop);
  if (arguments.json()) fmt::print("{}\n", base::dump_text(homeward::standing_json(standing), 2));
  else
    for (const std::string& note : standing.notes) fmt::print("{}\n", note);
  return 0;
}

}  // namespace

base::Command restore_command(std::stop_token stop) {
  base::Command command;
  command.name = "restore";
  command.summary = "Carry out an order of the appliance to restore a machine to this host";
  command.positional = {"ORDER"};
  command.declare_options = [](base::options::options_description_easy_init add) {
    using base::options::value;
    add("report-file", value<std::string>()->value_name("FILE"),
        "file to which progress is written; used by muletto-agent run");
    add("work-directory", value<std::string>()->value_name("DIR")->required(),
        "an empty folder of this command alone");
    declare_common_options(add);
  };
  command.notes =
      "ORDER is a file with an order as the appliance gives it. 'muletto-agent run' uses this "
      "command; a person orders a restore on the appliance, with 'muletto restore to-host'. What "
      "may be written is decided by this host's settings restores and restore_directories.";
  command.run = [stop](const base::Arguments& arguments) { return run_restore(arguments, stop); };
  return command;
}

}  // namespace agent::cli
