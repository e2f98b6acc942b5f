#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxListed = 1000;

void declare_job_list(base::options::options_description_easy_init add) {
  add("state", value<std::string>()->value_name("queued|running|succeeded|failed|cancelled"),
      "list only jobs in this state")("kind", value<std::string>()->value_name("KIND"),
                                      "list only jobs of this kind, such as sync or boot")(
      "limit", value<std::string>()->value_name("COUNT"), "list at most this many (default: 50)");
  declare_connection(add);
}

int run_job_list(const base::Arguments& arguments) {
  std::string path =
      fmt::format("/jobs?limit={}", number_option(arguments, "limit", 1, kMaxListed).value_or(50));
  for (const char* name : {"state", "kind"}) {
    if (arguments.has(name))
      path += fmt::format("&{}={}", name, base::encode_percent(arguments.get(name)));
  }
  nlohmann::json answer = ApiClient(arguments).get(path);
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["jobs"], {{"JOB", Align::right},
                                     {"KIND"},
                                     {"SUBJECT"},
                                     {"STATE"},
                                     {"STARTED"},
                                     {"TOOK", Align::right},
                                     {"OUTCOME"}});
  for (const nlohmann::json& job : answer["jobs"]) {
    std::string outcome = job["error"].is_object() ? text_of(job["error"], "message")
                                                   : text_of(job["progress"], "phase");
    table.add(job, {text_of(job, "id"), text_of(job, "kind"), text_of(job, "subject"),
                    text_of(job, "state"), text_of(job, "started"), duration_of(job, "duration_ms"),
                    outcome});
  }
  table.print("There are no jobs.");
  return 0;
}

}  // namespace

base::Command job_list_command() {
  base::Command command;
  command.name = "job list";
  command.summary = "List jobs, newest first";
  command.declare_options = declare_job_list;
  command.run = run_job_list;
  return command;
}

}  // namespace appliance::cli
