#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_machine_forget(base::options::options_description_easy_init add) {
  add("with-points", "also delete its points; without it a machine that has points is refused")(
      "yes", "do not ask");
  declare_connection(add);
}

std::string summary_of(const std::string& machine, const nlohmann::json& traces) {
  auto count = [&](const char* field, const char* noun) {
    return base::format_count(traces.value(field, uint64_t{0}), noun);
  };
  return fmt::format("{}: {}, {}, {}, {}{}", printable(machine), count("points", "point"),
                     count("test_boots", "test boot"), count("alerts", "alert"),
                     count("jobs", "job"),
                     traces.value("protection", false) ? ", its protection" : "");
}

void ask(const std::string& summary) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "this would remove " + summary + "; confirm it with --yes");
  }
  fmt::print(stderr, "This permanently removes {}. Type 'forget' to go ahead: ", summary);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "forget") throw base::Error(base::ErrorCode::cancelled, "nothing was removed");
}

int run_machine_forget(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string machine = arguments.get("MACHINE");
  std::string path = "/machines/" + base::encode_percent(machine);
  nlohmann::json traces = client.get(path + "/traces")["traces"];
  bool with_points = arguments.has("with-points");
  if (traces.value("points", uint64_t{0}) > 0 && !with_points) {
    throw base::Error(base::ErrorCode::busy,
                      "there is more than the machine's name: " + summary_of(machine, traces) +
                          "; to remove its points too, add --with-points");
  }
  if (!arguments.has("yes")) ask(summary_of(machine, traces));
  nlohmann::json answer = client.remove(path + (with_points ? "?points=true" : ""));
  nlohmann::json job = follow_accepted(client, answer, FollowOutput::quiet);
  if (print_if_json(arguments, {{"job", job}, {"traces", traces}})) return 0;
  fmt::print("Forgotten is {}.\n", summary_of(machine, traces));
  return 0;
}

}  // namespace

base::Command machine_forget_command() {
  base::Command command;
  command.name = "machine forget";
  command.summary = "Remove a machine and everything the appliance knows of it";
  command.positional = {"MACHINE"};
  command.declare_options = declare_machine_forget;
  command.run = run_machine_forget;
  command.notes =
      "Points that are held or in use are not deleted; then nothing is. A machine that an agent "
      "still sees on its host comes back as a new one.";
  return command;
}

}  // namespace appliance::cli
