#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxGraceS = 3600;

void declare_options(base::options::options_description_easy_init add) {
  add("keep",
      "keep the writes, so that the VM can be started again (muletto boot power BOOT power-on)")(
      "discard", "throw away all that was written since the start; needs --yes")("yes", "really")(
      "grace", value<std::string>()->value_name("SECONDS"),
      "ask the guest to shut down and wait that long before the power is cut (default 0)");
  declare_connection(add);
}

int run(const base::Arguments& arguments) {
  bool keep = arguments.has("keep"), discard = arguments.has("discard");
  if (keep == discard) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "say what happens to the VM's writes: --keep, or --discard --yes");
  }
  if (discard && !arguments.has("yes")) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        "--discard throws away what was written since the start; confirm it with --yes");
  }
  nlohmann::json body{{"keep_overlay", keep}};
  if (auto grace = number_option(arguments, "grace", 0, kMaxGraceS))
    body["shutdown_timeout_s"] = *grace;
  ApiClient client(arguments);
  std::string path = fmt::format("/boots/{}/stop", encode_segment(arguments.get("BOOT")));
  nlohmann::json job = follow_accepted(client, client.post(path, body), FollowOutput::quiet);
  if (arguments.json()) {
    print_json({{"job", job}});
  } else {
    fmt::print("The instant VM of {} is stopped; its writes are {}.\n",
               printable(text_of(job, "subject")), keep ? "kept" : "discarded");
  }
  return 0;
}

}  // namespace

base::Command boot_stop_command() {
  base::Command command;
  command.name = "boot stop";
  command.summary = "Stops an instant VM";
  command.positional = {"BOOT"};
  command.declare_options = declare_options;
  command.run = run;
  command.notes =
      "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant "
      "VM.";
  return command;
}

}  // namespace appliance::cli
