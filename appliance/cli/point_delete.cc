#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_point_delete(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer = client.remove("/points/" + base::encode_percent(arguments.get("POINT")));
  nlohmann::json job = follow_accepted(client, answer, FollowOutput::quiet);
  if (!print_if_json(arguments, {{"job", job}})) {
    fmt::print(
        "The point {} is deleted. Its space is freed within a day, or now: muletto tenant "
        "compact\n",
        text_of(job, "subject"));
  }
  return 0;
}

}  // namespace

base::Command point_delete_command() {
  base::Command command;
  command.name = "point delete";
  command.summary = "Delete one point permanently";
  command.positional = {"POINT"};
  command.declare_options = declare_connection;
  command.run = run_point_delete;
  command.notes = kPointHelp;
  return command;
}

}  // namespace appliance::cli
