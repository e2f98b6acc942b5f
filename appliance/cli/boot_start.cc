#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_machine_options.h"
#include "appliance/cli/boot_several.h"
#include "appliance/cli/boot_sheet.h"
#include "appliance/cli/boot_waiting.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_boot_start(base::options::options_description_easy_init add) {
  declare_machine(add);
  add("restart", base::options::value<std::string>()->value_name("automatic|wait"),
      "after a loss of power: start the VM again, or wait for an operator (default: automatic)")(
      "timeline", base::options::value<std::string>()->value_name("instant|production"),
      "whose syncs continue the machine's timeline: those of this VM, or, for a trial, those of "
      "its host; the others are refused (default: instant; production with --original beside)")(
      "wait", "wait until the guest answers; see --http, --tcp and --timeout");
  declare_wait(add);
  declare_several(add);
  declare_connection(add);
}

// Refused before anything is started: no guest without a network can answer.
void require_answerable(const base::Arguments& arguments) {
  if (!arguments.has("network")) return;
  std::vector<std::string> networks = arguments.list("network");
  if (std::any_of(networks.begin(), networks.end(), [](auto& each) { return each != "none"; }))
    return;
  throw base::Error(base::ErrorCode::invalid_argument,
                    "with --network none no guest can answer, so there is nothing to wait for: "
                    "choose another network, or leave out --wait");
}

nlohmann::json start_body(const base::Arguments& arguments) {
  nlohmann::json body = machine_body(arguments);
  if (arguments.has("restart")) body["restart"] = arguments.get("restart");
  if (arguments.has("timeline")) body["timeline"] = arguments.get("timeline");
  return body;
}

// Asks a person what the copy is meant to be, where its original is seen running.
void settle_original(const base::Arguments& arguments, const ApiClient& client,
                     nlohmann::json& body) {
  if (arguments.has("original") || ::isatty(STDIN_FILENO) == 0) return;
  nlohmann::json original = client.post("/boots/check", body)["check"]["original"];
  if (!original.is_object()) return;
  fmt::print(stderr,
             "{} was seen running on its host {} {} ago.\n"
             "Try the copy out [b]eside it, or let the copy take its place: [r]eplaced? "
             "(anything else: start nothing) ",
             printable(text_of(original, "machine")), printable(text_of(original, "host")),
             duration_of(original, "age_ms"));
  std::string answer;
  std::getline(std::cin, answer);
  answer = base::trim(answer);
  if (answer == "b" || answer == "beside") body["original"] = "beside";
  else if (answer == "r" || answer == "replaced") body["original"] = "replaced";
  else throw base::Error(base::ErrorCode::cancelled, "nothing was started");
}

// Returns the job. Who stops waiting is told that the VM runs on, and its id.
nlohmann::json wait_for(const ApiClient& client, const std::string& boot,
                        const nlohmann::json& wait) {
  try {
    return follow_accepted(client, client.post("/boots/" + boot + "/wait", wait),
                           FollowOutput::quiet);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::cancelled) throw;
    throw base::Error(
        error.code(),
        fmt::format("{0}. The instant VM {1} runs on; to end it: muletto boot stop {1}",
                    error.message(), boot));
  }
}

int run_boot_start(const base::Arguments& arguments) {
  if (means_several(arguments)) return start_several(arguments, start_body(arguments));
  nlohmann::json wait = wait_body(arguments);
  if (!wait.empty() && !arguments.has("wait")) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "--http, --tcp and --timeout go with --wait");
  }
  if (arguments.has("wait")) require_answerable(arguments);
  ApiClient client(arguments);
  nlohmann::json body = start_body(arguments);
  body["point"] = arguments.list("POINT").front();
  settle_original(arguments, client, body);
  nlohmann::json job = follow_accepted(client, client.post("/boots", body), FollowOutput::quiet);
  std::string path = "/boots/" + text_of(job["figures"], "boot");
  std::string answered;
  if (arguments.has("wait")) {
    nlohmann::json waited = wait_for(client, text_of(job["figures"], "boot"), wait);
    answered = fmt::format("{} after {}", text_of(waited["figures"], "answer"),
                           duration_of(waited["figures"], "since_start_ms"));
  }
  nlohmann::json answer = client.get(path);
  if (print_if_json(arguments, answer)) return 0;
  print_boot(answer["boot"]);
  if (!answered.empty()) fmt::print("{}\n", printable(answered));
  return 0;
}

}  // namespace

base::Command boot_start_command() {
  base::Command command;
  command.name = "boot start";
  command.summary = "Start instant VMs from points";
  command.positional = {"POINT*"};
  command.declare_options = declare_boot_start;
  command.run = run_boot_start;
  command.notes =
      std::string(kPointHelp) +
      "\n\n"
      "Several points are started side by side, as many at a time as the CPUs allow, and each is "
      "waited for. --then puts them in order: muletto boot start dc@latest --then db@latest --then "
      "web@latest,files@latest --http /";
  return command;
}

}  // namespace appliance::cli
