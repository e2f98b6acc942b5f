#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/import_source.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"
#include "images/wire/transfer_client.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

void declare_machine_import(base::options::options_description_easy_init add) {
  declare_import(add);
  declare_connection(add);
}

// If the job was cancelled or failed at the appliance, this side sees only that the connection was
// closed: the job says why.
[[noreturn]] void fail_with_reason(const ApiClient& client, const std::string& machine,
                                   const base::Error& seen) {
  constexpr int kAttempts = 20;  // the connection is closed before the job has ended
  json jobs;
  try {
    for (int i = 0; i < kAttempts; ++i) {
      jobs =
          client.get("/jobs?kind=import&limit=1&subject=" + base::encode_percent(machine))["jobs"];
      if (!jobs.is_array() || jobs.empty() || jobs[0].value("state", "") != "running") break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  } catch (const base::Error&) {
    throw seen;
  }
  if (!jobs.is_array() || jobs.empty()) throw seen;
  if (jobs[0].value("state", "") == "cancelled")
    throw base::Error(
        base::ErrorCode::cancelled,
        fmt::format("the job {} was cancelled; no point was made", jobs[0].value("id", 0)));
  throw seen;
}

json point_of(const ApiClient& client, const images::PointId& id) {
  return client.get("/points/" + id.hex())["point"];
}

int run_machine_import(const base::Arguments& arguments) {
  ApiClient client(arguments);
  client.get("/status");  // before minutes are spent on checksums
  ImportSource source(arguments);
  images::PointId id;
  try {
    auto sink = images::open_remote_sink(client.open_transfer(), source.plan());
    id = source.copy_to(*sink);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::unavailable) throw;
    fail_with_reason(client, source.plan().machine_name, error);
  }
  json point = point_of(client, id);
  if (print_if_json(arguments, {{"point", point}})) return 0;
  fmt::print("Point {} of {}.\n", id.hex(), printable(source.plan().machine_name));
  if (arguments.has("EXPORT")) fmt::print("  {}\n", printable(text_of(point, "note")));
  return 0;
}

}  // namespace

base::Command machine_import_command() {
  base::Command command;
  command.name = "machine import";
  command.summary = "Create a point of a machine that another hypervisor exported";
  command.positional = {"EXPORT?"};
  command.declare_options = declare_machine_import;
  command.run = run_machine_import;
  command.notes =
      std::string(kExportHelp) +
      "\n\n"
      "The files are read here, with the rights of the user who runs this command, and sent to the "
      "appliance as an agent would. There it is a job of the kind import, which can be cancelled. "
      "A "
      "machine that belongs to a host or runs as an instant VM gets no imported points. If this "
      "command is interrupted, no point is made, and what was sent is not sent again.";
  return command;
}

}  // namespace appliance::cli
