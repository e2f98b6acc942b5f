#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_tenant_check(base::options::options_description_easy_init add) {
  add("deep", "also decode every chunk and compare its hash");
  declare_connection(add);
}

int run_tenant_check(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/store/check", {{"deep", arguments.has("deep")}});
  FollowOutput output = arguments.json() ? FollowOutput::quiet : FollowOutput::log;
  nlohmann::json job = follow_accepted(client, answer, output);
  if (!print_if_json(arguments, {{"job", job}})) {
    const nlohmann::json& figures = job["figures"];
    auto count = [&](const char* field, const char* noun) {
      return base::format_count(figures.value(field, uint64_t{0}), noun);
    };
    fmt::print("The store is good: {} in {}, {}.\n", count("chunks_checked", "chunk"),
               count("packs_checked", "pack"), count("points_checked", "point"));
  }
  return 0;
}

}  // namespace

base::Command tenant_check_command() {
  base::Command command;
  command.name = "tenant check";
  command.summary = "Verify the tenant's store now";
  command.declare_options = declare_tenant_check;
  command.run = run_tenant_check;
  command.notes = "The appliance also does this once a week by itself.";
  return command;
}

}  // namespace appliance::cli
