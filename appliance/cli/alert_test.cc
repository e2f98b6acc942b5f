#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {
namespace {

int run_alert_test(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json job =
      follow_accepted(client, client.post("/alert-tests", nlohmann::json::object()),
                      arguments.json() ? FollowOutput::quiet : FollowOutput::log);
  print_if_json(arguments, {{"job", job}});
  return 0;
}

}  // namespace

base::Command alert_test_command() {
  base::Command command;
  command.name = "alert test";
  command.summary = "Send a test alert through every channel";
  command.declare_options = declare_connection;
  command.run = run_alert_test;
  command.notes =
      "The channels are those of 'muletto channel list'. The "
      "command shows for each of them whether the test alert was sent. It fails if one of them "
      "failed, or if there is none.";
  return command;
}

}  // namespace appliance::cli
