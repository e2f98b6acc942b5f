#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

int run_session_list(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get("/sessions");
  if (print_if_json(arguments, answer)) return 0;
  Table table({{"ID"}, {"NAME"}, {"ROLE"}, {"TENANT"}, {"FROM"}, {"SINCE"}, {"USED"}, {"EXPIRES"}});
  for (const nlohmann::json& session : answer["sessions"])
    table.add({text_of(session, "id"), printable(text_of(session, "name")),
               text_of(session, "role"), printable(text_of(session, "tenant")),
               printable(text_of(session, "address")), text_of(session, "created"),
               text_of(session, "used"), text_of(session, "expires")});
  table.print("Nobody is signed in.");
  return 0;
}

}  // namespace

base::Command session_list_command() {
  base::Command command;
  command.name = "session list";
  command.summary = "List who is signed in";
  command.declare_options = declare_connection;
  command.run = run_session_list;
  return command;
}

}  // namespace appliance::cli
