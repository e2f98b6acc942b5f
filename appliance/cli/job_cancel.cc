#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_job_cancel(const base::Arguments& arguments) {
  std::string path = fmt::format("/jobs/{}/cancel", base::encode_percent(arguments.get("JOB")));
  nlohmann::json answer = ApiClient(arguments).post(path, nlohmann::json::object());
  if (!print_if_json(arguments, answer)) {
    fmt::print("Job {} was asked to stop; it is {}.\n", text_of(answer["job"], "id"),
               text_of(answer["job"], "state"));
  }
  return 0;
}

}  // namespace

base::Command job_cancel_command() {
  base::Command command;
  command.name = "job cancel";
  command.summary = "Ask a job to stop";
  command.positional = {"JOB"};
  command.declare_options = declare_connection;
  command.run = run_job_cancel;
  command.notes = "JOB is the number that 'muletto job list' shows.";
  return command;
}

}  // namespace appliance::cli
