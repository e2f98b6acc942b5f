#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_report_create(base::options::options_description_easy_init add) {
  using base::options::value;
  add("out", value<std::string>()->required()->value_name("FILE"), "the file to write");
  add("format", value<std::string>()->value_name("html|pdf"),
      "format of the report (default: by the name of the file, else html)");
  add("from", value<std::string>()->value_name("TIME"),
      "start of the report, such as 2026-11-01 (default: seven days before its end)");
  add("to", value<std::string>()->value_name("TIME"), "end of the report (default: now)");
  add("timezone", value<std::string>()->value_name("ZONE"),
      "time zone of its times, such as Europe/Rome (default: UTC)");
  declare_connection(add);
}

int run_report_create(const base::Arguments& arguments) {
  std::string path = arguments.get("out");
  nlohmann::json body{{"format", path.ends_with(".pdf") ? "pdf" : "html"}};
  for (const char* name : {"format", "from", "to", "timezone"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  ApiClient client(arguments);
  nlohmann::json job = follow_accepted(client, client.post("/reports", body), FollowOutput::quiet);
  std::string id = text_of(job["figures"], "report");
  base::HttpResponse report = client.download("/reports/" + base::encode_percent(id));
  base::write_file_durably(base::real_file_system(), path, base::as_bytes(report.body));
  if (!print_if_json(arguments, {{"report", id}, {"file", path}, {"size", report.body.size()}})) {
    fmt::print("The report is in {}.\n", path);
  }
  return 0;
}

}  // namespace

base::Command report_create_command() {
  base::Command command;
  command.name = "report create";
  command.summary = "Write a report about a tenant, for the client";
  command.declare_options = declare_report_create;
  command.run = run_report_create;
  command.notes =
      "One page that can be sent as it is: for each machine its newest point, the longest time "
      "without one, the last test boot with its screen, and the proved recovery time.";
  return command;
}

}  // namespace appliance::cli
