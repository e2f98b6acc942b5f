#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_setup_code(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/setup/code");
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("{}\n", text_of(answer, "code"));
  fmt::print(stderr,
             "Open https://{}/ and enter it there, or: muletto user create NAME --role owner\n",
             printable(text_of(answer, "address")));
  return 0;
}

}  // namespace

base::Command setup_code_command() {
  base::Command command;
  command.name = "setup code";
  command.summary = "Show the code with which the first owner is made on the page";
  command.declare_options = declare_connection;
  command.run = run_setup_code;
  return command;
}

}  // namespace appliance::cli
