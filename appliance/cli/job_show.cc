#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void print_job(const nlohmann::json& job) {
  Sheet sheet;
  sheet.add("Job", text_of(job, "id"));
  sheet.add("Kind", text_of(job, "kind"));
  sheet.add("Subject", text_of(job, "subject"));
  sheet.add("Requested by", text_of(job, "requested_by"));
  sheet.add("State", text_of(job, "state"));
  sheet.add("Created", text_of(job, "created"));
  sheet.add("Started", text_of(job, "started"));
  sheet.add("Ended", text_of(job, "ended"));
  sheet.add("Took", duration_of(job, "duration_ms"));
  sheet.add("Phase", text_of(job["progress"], "phase"));
  for (const auto& [name, value] : job["figures"].items())
    sheet.add(name, text_of(job["figures"], name.c_str()));
  if (job["error"].is_object()) {
    sheet.add("Error", fmt::format("{} ({})", text_of(job["error"], "message"),
                                   text_of(job["error"], "code")));
  }
  sheet.print();
}

int run_job_show(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = "/jobs/" + base::encode_percent(arguments.get("JOB"));
  nlohmann::json answer = client.get(path);
  answer["lines"] = client.get(path + "/log")["lines"];
  if (print_if_json(arguments, answer)) return 0;
  print_job(answer["job"]);
  for (const nlohmann::json& line : answer["lines"]) {
    fmt::print("{}  {}\n", text_of(line, "time"), printable(text_of(line, "text")));
  }
  return 0;
}

}  // namespace

base::Command job_show_command() {
  base::Command command;
  command.name = "job show";
  command.summary = "Show one job with its log";
  command.positional = {"JOB"};
  command.declare_options = declare_connection;
  command.run = run_job_show;
  command.notes = "JOB is the number that 'muletto job list' shows.";
  return command;
}

}  // namespace appliance::cli
