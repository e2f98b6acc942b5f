#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxGraceS = 3600;

void declare_boot_stop(base::options::options_description_easy_init add) {
  add("keep",
      "keep the VM's writes, so that it can be started again: muletto boot power BOOT power-on")(
      "discard", "discard everything the VM has written since its start")(
      "yes", "do not ask; discard the writes")(
      "grace", value<std::string>()->value_name("SECONDS"),
      "ask the guest to shut down; cut the power after this many seconds (default: 0)");
  declare_connection(add);
}

enum class Writes { keep, discard };

// Asks the person, if no option decides it.
Writes ask(const ApiClient& client, const std::string& selector) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "choose what happens to the VM's writes: --keep or --discard");
  }
  nlohmann::json boot = client.get("/boots/" + base::encode_percent(selector))["boot"];
  uint64_t size = 0;
  for (const nlohmann::json& disk : boot["disks"]) size += disk.value("overlay_size", uint64_t{0});
  fmt::print(stderr,
             "The instant VM of {} has written {} since its start. Discard that permanently, or "
             "keep it? [discard/keep/cancel] ",
             printable(text_of(boot, "machine")), base::format_size(size));
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "discard") return Writes::discard;
  if (answer == "keep") return Writes::keep;
  throw base::Error(base::ErrorCode::cancelled, "nothing was done; the VM runs on");
}

Writes choose(const base::Arguments& arguments, const ApiClient& client) {
  bool keep = arguments.has("keep"), discard = arguments.has("discard");
  if (keep && (discard || arguments.has("yes"))) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the VM's writes are kept or discarded, not both: --keep or --discard");
  }
  if (keep) return Writes::keep;
  if (discard || arguments.has("yes")) return Writes::discard;
  return ask(client, arguments.get("BOOT"));
}

int run_boot_stop(const base::Arguments& arguments) {
  ApiClient client(arguments);
  bool keep = choose(arguments, client) == Writes::keep;
  nlohmann::json body{{"keep_overlay", keep}};
  if (auto grace = number_option(arguments, "grace", 0, kMaxGraceS))
    body["shutdown_timeout_s"] = *grace;
  std::string path = fmt::format("/boots/{}/stop", base::encode_percent(arguments.get("BOOT")));
  nlohmann::json job = follow_accepted(client, client.post(path, body), FollowOutput::quiet);
  if (!print_if_json(arguments, {{"job", job}})) {
    fmt::print("The instant VM of {} is stopped; its writes are {}.\n",
               printable(text_of(job, "subject")), keep ? "kept" : "discarded");
  }
  return 0;
}

}  // namespace

base::Command boot_stop_command() {
  base::Command command;
  command.name = "boot stop";
  command.summary = "Stop an instant VM";
  command.positional = {"BOOT"};
  command.declare_options = declare_boot_stop;
  command.run = run_boot_stop;
  command.notes =
      std::string(kBootHelp) +
      "\n\n"
      "Without --keep, --discard or --yes the command asks. It refuses if standard input is "
      "not a terminal.";
  return command;
}

}  // namespace appliance::cli
