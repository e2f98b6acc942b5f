#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_policy_apply(base::options::options_description_easy_init add) {
  using base::options::value;
  add("machine", value<std::string>()->value_name("MACHINE"), "apply it only to this machine")(
      "now", "delete all at once, and apply also new rules that wait a day");
  declare_connection(add);
}

int run_policy_apply(const base::Arguments& arguments) {
  nlohmann::json body{{"now", arguments.has("now")}};
  if (arguments.has("POLICY")) body["policy"] = arguments.get("POLICY");
  if (arguments.has("machine")) body["machine"] = arguments.get("machine");
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/retention/apply", body);
  nlohmann::json jobs = nlohmann::json::array();
  uint64_t removed = 0, busy = 0;
  for (const nlohmann::json& job : answer["jobs"]) {
    jobs.push_back(follow_job(client, job.value("id", int64_t{0}), FollowOutput::quiet));
    removed += jobs.back()["figures"].value("removed", uint64_t{0});
    busy += jobs.back()["figures"].value("busy", uint64_t{0});
  }
  if (print_if_json(arguments, {{"jobs", jobs}, {"held", answer["held"]}})) return 0;
  fmt::print("{} removed.\n", base::format_count(removed, "point"));
  if (busy > 0)
    fmt::print("{} in use stayed, and will be tried again.\n", base::format_count(busy, "point"));
  for (const nlohmann::json& held : answer["held"]) {
    fmt::print("{}: nothing was removed: {}\n", printable(text_of(held, "machine")),
               printable(text_of(held, "why")));
  }
  return 0;
}

}  // namespace

base::Command policy_apply_command() {
  base::Command command;
  command.name = "policy apply";
  command.summary = "Delete the points that policies do not keep, now";
  command.positional = {"POLICY?"};
  command.declare_options = declare_policy_apply;
  command.run = run_policy_apply;
  command.notes =
      "The appliance does this by itself once a minute, a few points at a time. A new rule that "
      "would delete more than a third of a machine's points waits a day; --now confirms it. "
      "'muletto policy preview' shows what would be deleted.";
  return command;
}

}  // namespace appliance::cli
