#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_verify_bisect(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path =
      fmt::format("/machines/{}/bisect", base::encode_percent(arguments.get("MACHINE")));
  nlohmann::json job =
      follow_accepted(client, client.post(path, nlohmann::json::object()), FollowOutput::quiet);
  if (!print_if_json(arguments, job["figures"])) {
    fmt::print("The newest point that boots is {}\n", text_of(job["figures"], "point"));
  }
  return 0;
}

}  // namespace

base::Command verify_bisect_command() {
  base::Command command;
  command.name = "verify bisect";
  command.summary = "Find the newest point of a machine that passes a test boot";
  command.positional = {"MACHINE"};
  command.declare_options = declare_connection;
  command.run = run_verify_bisect;
  return command;
}

}  // namespace appliance::cli
