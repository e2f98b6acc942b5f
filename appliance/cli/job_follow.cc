#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_job_follow(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json job = client.get("/jobs/" + base::encode_percent(arguments.get("JOB")))["job"];
  job = follow_job(client, job.value("id", int64_t{0}),
                   arguments.json() ? FollowOutput::quiet : FollowOutput::log);
  if (!print_if_json(arguments, {{"job", job}})) {
    fmt::print("Job {} {} after {}.\n", text_of(job, "id"), text_of(job, "state"),
               duration_of(job, "duration_ms"));
  }
  return 0;
}

}  // namespace

base::Command job_follow_command() {
  base::Command command;
  command.name = "job follow";
  command.summary = "Print the log of a job until it ends";
  command.positional = {"JOB"};
  command.declare_options = declare_connection;
  command.run = run_job_follow;
  command.notes =
      "JOB is the number that 'muletto job list' shows. The command fails if the job fails.";
  return command;
}

}  // namespace appliance::cli
