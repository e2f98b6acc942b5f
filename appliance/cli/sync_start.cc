#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_sync_start(base::options::options_description_easy_init add) {
  add("follow,f", "wait until the sync ends, and show its progress");
  declare_connection(add);
}

int run_sync_start(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer =
      client.post(fmt::format("/machines/{}/sync", base::encode_percent(arguments.get("MACHINE"))),
                  nlohmann::json::object());
  if (arguments.has("follow")) {
    nlohmann::json job =
        follow_accepted(client, answer, arguments.json() ? FollowOutput::quiet : FollowOutput::log);
    if (arguments.json()) print_json({{"job", job}});
    return 0;
  }
  if (!print_if_json(arguments, answer))
    fmt::print("Ordered as job {}.\n", text_of(answer["job"], "id"));
  return 0;
}

}  // namespace

base::Command sync_start_command() {
  base::Command command;
  command.name = "sync start";
  command.summary = "Start a sync of a machine now";
  command.positional = {"MACHINE"};
  command.declare_options = declare_sync_start;
  command.run = run_sync_start;
  return command;
}

}  // namespace appliance::cli
