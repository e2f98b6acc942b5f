#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_verify_checks(base::options::options_description_easy_init add) {
  add("set", base::options::value<std::vector<std::string>>()->value_name("CHECK"),
      "require this check; replaces the ones before");
  add("clear", "require no checks");
  add("relearn",
      "forget what past test boots have shown, after something was removed from the machine");
  declare_connection(add);
}

int run_verify_checks(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path =
      fmt::format("/machines/{}/checks", base::encode_percent(arguments.get("MACHINE")));
  nlohmann::json answer;
  if (arguments.has("set") && arguments.has("clear")) {
    throw base::Error(base::ErrorCode::invalid_argument, "either --set or --clear, not both");
  }
  if (arguments.has("relearn")) answer = client.post(path + "/relearn", nlohmann::json::object());
  if (arguments.has("set")) {
    answer = client.put(path, {{"checks", arguments.list("set")}});
  } else if (arguments.has("clear")) {
    answer = client.put(path, {{"checks", nlohmann::json::array()}});
  } else if (!arguments.has("relearn")) {
    answer = client.get(path);
  }
  if (print_if_json(arguments, answer)) return 0;
  for (const nlohmann::json& each : answer["checks"])
    fmt::print("demanded  {}\n", printable(each.get<std::string>()));
  for (const nlohmann::json& each : answer["learned"])
    fmt::print("learned   {}\n", printable(each.get<std::string>()));
  if (answer["checks"].empty() && answer["learned"].empty())
    fmt::print("Nothing is required, and nothing has been learned from test boots yet.\n");
  return 0;
}

}  // namespace

base::Command verify_checks_command() {
  base::Command command;
  command.name = "verify checks";
  command.summary = "Show or set the checks of a machine's test boots";
  command.positional = {"MACHINE"};
  command.declare_options = declare_verify_checks;
  command.run = run_verify_checks;
  command.notes =
      "CHECK is agent, tcp:PORT, http:PORT/PATH, guest:COMMAND (run by the guest agent) or "
      "appliance:NAME (a program in the folder 'checks' of the appliance's state directory, with "
      "the guest's address in MULETTO_GUEST).\n\n"
      "Learned checks are what answered in each of the last three passes, and which volumes were "
      "there.";
  return command;
}

}  // namespace appliance::cli
