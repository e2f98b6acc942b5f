#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_host_replace(base::options::options_description_easy_init add) {
  add("yes", "do not ask");
  declare_connection(add);
}

// By the host's name: a host that was revoked and enrolled again has it twice.
std::vector<std::string> machines_of(const nlohmann::json& machines, const std::string& host) {
  std::vector<std::string> names;
  for (const nlohmann::json& machine : machines) {
    if (machine["host"].is_string() && machine["host"] == host)
      names.push_back(text_of(machine, "name"));
  }
  if (names.empty()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("no machine belongs to a host '{}': see muletto machine list",
                                  host.substr(0, 255)));
  }
  return names;
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
    list += (i == 0 ? "" : ", ") + printable(names[i]);
  if (names.size() > kShown) list += fmt::format(" and {} more", names.size() - kShown);
  return list;
}

void ask(const std::string& what) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "this would give " + what + "; confirm it with --yes");
  }
  fmt::print(stderr, "This gives {}: only its agent may sync them then. Go ahead? [y/N] ", what);
  std::string answer;
  std::getline(std::cin, answer);
  answer = base::trim(answer);
  if (answer != "y" && answer != "yes")
    throw base::Error(base::ErrorCode::cancelled, "nothing was changed");
}

int run_host_replace(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string selector = arguments.get("HOST");
  nlohmann::json host = client.get("/hosts/" + base::encode_percent(selector))["host"];
  std::vector<std::string> names =
      machines_of(client.get("/machines")["machines"], arguments.get("OLD-HOST"));
  if (!arguments.has("yes")) {
    ask(fmt::format(
        "{} of the host {} to the host {} ({})", base::format_count(names.size(), "machine"),
        printable(arguments.get("OLD-HOST")), printable(text_of(host, "name")), list_of(names)));
  }
  for (const std::string& name : names)
    client.put(fmt::format("/machines/{}/host", base::encode_percent(name)),
               {{"host", text_of(host, "id")}});
  if (print_if_json(arguments, {{"host", host}, {"machines", names}})) return 0;
  fmt::print("The host {} has now: {}.\n", printable(text_of(host, "name")), list_of(names));
  return 0;
}

}  // namespace

base::Command host_replace_command() {
  base::Command command;
  command.name = "host replace";
  command.summary = "Give all machines of a host to another that takes its place";
  command.positional = {"OLD-HOST", "HOST"};
  command.declare_options = declare_host_replace;
  command.run = run_host_replace;
  command.notes =
      "OLD-HOST is the name that 'muletto machine list' shows; HOST is a name, an id, or a unique "
      "prefix of one. A host that was installed again is revoked, enrolled again under its name, "
      "and "
      "then given its machines: muletto host replace NAME NAME. Their points and schedules stay; "
      "each disk is read in full once.";
  return command;
}

}  // namespace appliance::cli
