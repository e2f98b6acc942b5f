#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

int run(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/store/compact", nlohmann::json::object());
  nlohmann::json job = follow_accepted(client, answer, FollowOutput::quiet);
  if (arguments.json()) {
    print_json({{"job", job}});
  } else {
    fmt::print("{} packs were rewritten, {} freed.\n", text_of(job["figures"], "packs_rewritten"),
               size_of(job["figures"], "bytes_freed"));
  }
  return 0;
}

}  // namespace

base::Command tenant_compact_command() {
  base::Command command;
  command.name = "tenant compact";
  command.summary = "Gives back the space of deleted points";
  command.declare_options = declare_connection;
  command.run = run;
  return command;
}

}  // namespace appliance::cli
