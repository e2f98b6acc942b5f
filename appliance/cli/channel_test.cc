#include "appliance/cli/api_client.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_channel_test(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = "/channels/" + base::encode_percent(arguments.get("CHANNEL")) + "/test";
  nlohmann::json job = follow_accepted(client, client.post(path, nlohmann::json::object()),
                                       arguments.json() ? FollowOutput::quiet : FollowOutput::log);
  print_if_json(arguments, {{"job", job}});
  return 0;
}

}  // namespace

base::Command channel_test_command() {
  base::Command command;
  command.name = "channel test";
  command.summary = "Send a test notification through one channel";
  command.positional = {"CHANNEL"};
  command.declare_options = declare_connection;
  command.run = run_channel_test;
  command.notes = "'muletto alert test' tries every channel.";
  return command;
}

}  // namespace appliance::cli
