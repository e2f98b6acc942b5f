#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_status(const base::Arguments& arguments) {
  nlohmann::json status = ApiClient(arguments).get("/status");
  if (print_if_json(arguments, status)) return 0;
  const nlohmann::json& boots = status["boots"];
  Sheet sheet;
  sheet.add("Version", text_of(status, "version"));
  sheet.add("Node", text_of(status, "node"));
  sheet.add("Up for", duration_of(status, "uptime_ms"));
  sheet.add("Address", text_of(status, "address"));
  sheet.add("Fingerprint", text_of(status, "fingerprint"));
  sheet.add("State", fmt::format("{} ({} of {} free)", text_of(status, "state_directory"),
                                 size_of(status["disk"], "free"), size_of(status["disk"], "size")));
  sheet.add("Machines", text_of(status, "machine_count"));
  sheet.add("Points", text_of(status, "point_count"));
  sheet.add("Jobs running", text_of(status, "running_job_count"));
  sheet.add("Instant VMs",
            boots["problem"].is_null()
                ? fmt::format("{}, {} running", text_of(boots, "count"), text_of(boots, "running"))
                : "out of reach: " + text_of(boots, "problem"));
  const nlohmann::json& store = status["store"];
  if (store.is_object()) {
    sheet.add("Store", store["problem"].is_null()
                           ? text_of(store, "state")
                           : fmt::format("{} since {}: {}", text_of(store, "state"),
                                         text_of(store, "since"), text_of(store, "problem")));
  }
  for (const nlohmann::json& need : status["needs"]) {
    sheet.add(text_of(need, "name"),
              need.value("ok", false)
                  ? "ok"
                  : fmt::format("not since {}: {}; needed for {}", text_of(need, "since"),
                                text_of(need, "problem"), text_of(need, "purpose")));
  }
  if (uint64_t count = status.value("not_verified_count", uint64_t{0}); count > 0)
    sheet.add("Not verified", fmt::format("{}: verification is off in the policy",
                                          base::format_count(count, "machine")));
  uint64_t alerts = status.value("open_alert_count", uint64_t{0});
  sheet.add("Open alerts", alerts == 0 ? "none" : fmt::format("{}: muletto alert list", alerts));
  for (const nlohmann::json& duty : status.value("failing_duties", nlohmann::json::array())) {
    sheet.add("Not done now", fmt::format("{}, since {}: {}", text_of(duty, "what"),
                                          text_of(duty, "since"), text_of(duty, "error")));
  }
  sheet.print();
  return 0;
}

}  // namespace

base::Command status_command() {
  base::Command command;
  command.name = "status";
  command.summary = "Show the state of the appliance";
  command.declare_options = declare_connection;
  command.run = run_status;
  return command;
}

}  // namespace appliance::cli
