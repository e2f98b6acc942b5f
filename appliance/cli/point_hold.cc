#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_point_hold(base::options::options_description_easy_init add) {
  using base::options::value;
  add("reason", value<std::string>()->value_name("TEXT"),
      "why the point is held; shown to anybody who wants to delete it")(
      "until", value<std::string>()->value_name("TIME"),
      "when the hold ends by itself, such as 2027-01-31 (default: when it is released)");
  declare_connection(add);
}

std::string hold_path(const base::Arguments& arguments) {
  return fmt::format("/points/{}/hold", base::encode_percent(arguments.get("POINT")));
}

int hold(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  for (const char* name : {"reason", "until"}) {
    if (arguments.has(name)) body[name] = arguments.get(name);
  }
  nlohmann::json answer = ApiClient(arguments).put(hold_path(arguments), body);
  if (!print_if_json(arguments, answer))
    fmt::print("The point {} is held.\n", printable(text_of(answer, "point")));
  return 0;
}

int release(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).remove(hold_path(arguments));
  if (!print_if_json(arguments, answer))
    fmt::print("The point {} is not held any more.\n", printable(text_of(answer, "point")));
  return 0;
}

}  // namespace

base::Command point_hold_command() {
  base::Command command;
  command.name = "point hold";
  command.summary = "Keep a point until it is released, even if its policy would delete it";
  command.positional = {"POINT"};
  command.declare_options = declare_point_hold;
  command.run = hold;
  command.notes = kPointHelp;
  return command;
}

base::Command point_release_command() {
  base::Command command;
  command.name = "point release";
  command.summary = "Release a point that is held";
  command.positional = {"POINT"};
  command.declare_options = declare_connection;
  command.run = release;
  command.notes = kPointHelp;
  return command;
}

}  // namespace appliance::cli
