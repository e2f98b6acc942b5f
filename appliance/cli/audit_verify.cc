#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/json_access.h"

namespace appliance::cli {
namespace {

void declare_audit_verify(base::options::options_description_easy_init add) {
  add("anchor", "if all is well, write the newest entry's hash into the stores now");
  declare_connection(add);
}

int run_audit_verify(const base::Arguments& arguments) {
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/audit/verify", nlohmann::json::object());
  const nlohmann::json& seen = answer["verification"];
  bool good = base::find_flag(seen, "good").value_or(false);
  if (good && arguments.has("anchor"))
    answer["anchored"] = client.post("/audit/anchor", nlohmann::json::object());
  int code = good ? 0 : base::exit_code(base::ErrorCode::corrupt);
  if (print_if_json(arguments, answer)) return code;
  if (!good) {
    fmt::print("The audit log is not whole: {}.\n", printable(text_of(seen, "problem")));
    return code;
  }
  fmt::print("The audit log is whole: {} entries, compared with {} anchors in stores.\n",
             text_of(seen, "entry_count"), text_of(seen, "anchor_count"));
  if (!answer.contains("anchored")) return code;
  fmt::print("Anchored in the stores of {} tenants.\n", answer["anchored"]["tenants"].size());
  for (const nlohmann::json& problem : answer["anchored"]["problems"])
    fmt::print(stderr, "not anchored in {}\n",
               printable(problem.is_string() ? problem.get<std::string>() : ""));
  return code;
}

}  // namespace

base::Command audit_verify_command() {
  base::Command command;
  command.name = "audit verify";
  command.summary = "Check that no entry of the audit log was changed or removed";
  command.declare_options = declare_audit_verify;
  command.run = run_audit_verify;
  command.notes =
      "Each entry contains the hash of the one before it, and each store keeps the newest hash of "
      "each day. The first entry that is wrong is named.";
  return command;
}

}  // namespace appliance::cli
