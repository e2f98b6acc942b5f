#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_verify_forget(const base::Arguments& arguments) {
  std::string machine = arguments.get("MACHINE"), rule = arguments.get("RULE");
  nlohmann::json answer = ApiClient(arguments).remove(fmt::format(
      "/machines/{}/rules/{}", base::encode_percent(machine), base::encode_percent(rule)));
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("Rule {} of {} is forgotten; it has {}.\n", printable(rule), printable(machine),
             base::format_count(answer["rules"].size(), "rule"));
  return 0;
}

}  // namespace

base::Command verify_forget_command() {
  base::Command command;
  command.name = "verify forget";
  command.summary = "Forget a taught rule of a machine";
  command.positional = {"MACHINE", "RULE"};
  command.declare_options = declare_connection;
  command.run = run_verify_forget;
  command.notes =
      "RULE is the number that 'muletto verify rules' shows. Verdicts that were corrected stay "
      "corrected: see 'muletto verify correct --withdraw'.";
  return command;
}

}  // namespace appliance::cli
