#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"

namespace appliance::cli {
namespace {

constexpr int kExitFail = 20;
constexpr int kExitInconclusive = 21;

int run_verify_start(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json job =
      follow_accepted(client, client.post("/verifications", {{"point", arguments.get("POINT")}}),
                      FollowOutput::quiet);
  nlohmann::json answer = client.get("/verifications/" + text_of(job["figures"], "verification"));
  const nlohmann::json& seen = answer["verification"];
  std::string verdict = text_of(seen, "verdict");
  if (!print_if_json(arguments, answer)) {
    fmt::print("{}: {} (test boot {}, {})\n", printable(text_of(seen, "machine")), verdict,
               text_of(seen, "number"), duration_of(seen, "duration_ms"));
    for (const nlohmann::json& reason : seen["reasons"])
      fmt::print("  {}\n", printable(reason.get<std::string>()));
  }
  return verdict == "pass" ? 0 : verdict == "fail" ? kExitFail : kExitInconclusive;
}

}  // namespace

base::Command verify_start_command() {
  base::Command command;
  command.name = "verify start";
  command.summary = "Test-boot a point: start it, judge it, discard it";
  command.positional = {"POINT"};
  command.declare_options = declare_connection;
  command.run = run_verify_start;
  command.notes = std::string(kPointHelp) + "\n\nExit code 0: pass, 20: fail, 21: inconclusive.";
  return command;
}

}  // namespace appliance::cli
