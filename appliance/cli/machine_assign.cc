#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_machine_assign(base::options::options_description_easy_init add) {
  add("nobody", "take the machine away from its host");
  declare_connection(add);
}

int run_machine_assign(const base::Arguments& arguments) {
  if (arguments.has("nobody") == arguments.has("HOST")) {
    throw base::Error(base::ErrorCode::invalid_argument, "give a HOST or --nobody");
  }
  nlohmann::json body{{"host", nullptr}};
  if (arguments.has("HOST")) body["host"] = arguments.get("HOST");
  std::string path =
      fmt::format("/machines/{}/host", base::encode_percent(arguments.get("MACHINE")));
  nlohmann::json answer = ApiClient(arguments).put(path, body);
  if (!print_if_json(arguments, answer)) {
    fmt::print("The machine {} belongs to {}.\n", printable(arguments.get("MACHINE")),
               arguments.has("nobody") ? "no host" : printable(text_of(answer["machine"], "host")));
  }
  return 0;
}

}  // namespace

base::Command machine_assign_command() {
  base::Command command;
  command.name = "machine assign";
  command.summary = "Assign a machine to the host whose agent may sync it";
  command.positional = {"MACHINE", "HOST?"};
  command.declare_options = declare_machine_assign;
  command.run = run_machine_assign;
  return command;
}

}  // namespace appliance::cli
