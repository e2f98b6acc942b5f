#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_tenant_compact(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/store/compact", nlohmann::json::object());
  nlohmann::json job = follow_accepted(client, answer, FollowOutput::quiet);
  if (!print_if_json(arguments, {{"job", job}})) {
    fmt::print("{} rewritten, {} freed.\n",
               base::format_count(job["figures"].value("packs_rewritten", uint64_t{0}), "pack"),
               size_of(job["figures"], "bytes_freed"));
  }
  return 0;
}

}  // namespace

base::Command tenant_compact_command() {
  base::Command command;
  command.name = "tenant compact";
  command.summary = "Free the space of deleted points in the tenant's store";
  command.declare_options = declare_connection;
  command.run = run_tenant_compact;
  return command;
}

}  // namespace appliance::cli
