#include <fmt/format.h>

#include <array>

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
using nlohmann::json;
using Words = std::vector<std::string>;

void declare_restore_to_host(base::options::options_description_easy_init add) {
  add("target", value<Words>()->value_name("DISK=PATH"),
      "write this disk to a file, an LVM volume or another block device of the host");
  add("folder", value<std::string>()->value_name("DIR"),
      "write each disk to a new file in this folder of the host");
  add("format", value<std::string>()->value_name("qcow2|raw"),
      "format of files (default: qcow2); of block devices it is raw");
  add("in-place", "set the machine on the host back to the point: its own disks are written");
  add("shut-down", "with --in-place: shut the machine down first, if it runs");
  add("define", "define the machine in the host's libvirt");
  add("name", value<std::string>()->value_name("NAME"), "with --define: under another name");
  add("network", value<Words>()->value_name("OLD=NEW"),
      "with --define: connect cards that were on OLD (a network, or 'bridge br0') to NEW");
  add("start", "start the machine afterwards");
  add("disk", value<Words>()->value_name("DISK"), "restore only this disk");
  add("overwrite", value<std::string>()->value_name("MACHINE"),
      "overwrite what is not empty: the machine's name confirms it");
  add("erase-foreign", "with --overwrite: also what belongs to something else");
  add("verify", value<std::string>()->value_name("written|all|none"),
      "what is read back at the end and compared with the point (default: written)");
  add("survey", "say how much differs, and change nothing");
  add("bandwidth", value<std::string>()->value_name("SIZE"),
      "limit in bytes a second, such as 50M (default: no limit)");
  add("background", "return at once; 'muletto job follow JOB' shows the progress");
  declare_connection(add);
}

// "A=B" of an option.
std::pair<std::string, std::string> pair_of(const std::string& text, const char* option) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("--{} is LEFT=RIGHT, not '{}'", option, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

json body_of(const base::Arguments& arguments) {
  json body{{"target", "host"}, {"host", arguments.get("HOST")}, {"point", arguments.get("POINT")}};
  for (auto [field, option] :
       std::array<std::pair<const char*, const char*>, 5>{{{"folder", "folder"},
                                                           {"format", "format"},
                                                           {"name", "name"},
                                                           {"verify", "verify"},
                                                           {"overwrite", "overwrite"}}}) {
    if (arguments.has(option)) body[field] = arguments.get(option);
  }
  for (auto [field, option] :
       std::array<std::pair<const char*, const char*>, 6>{{{"in_place", "in-place"},
                                                           {"shut_down", "shut-down"},
                                                           {"define", "define"},
                                                           {"start", "start"},
                                                           {"survey", "survey"},
                                                           {"erase_foreign", "erase-foreign"}}}) {
    if (arguments.has(option)) body[field] = true;
  }
  std::string format = arguments.get_or<std::string>("format", "qcow2");
  for (const std::string& text : arguments.list("target")) {
    auto [disk, path] = pair_of(text, "target");
    std::string own = path.starts_with("/dev/") ? "raw" : format;
    body["targets"].push_back({{"disk", disk}, {"path", path}, {"format", own}});
  }
  for (const std::string& text : arguments.list("network")) {
    auto [from, to] = pair_of(text, "network");
    body["networks"].push_back({{"from", from}, {"to", to}});
  }
  for (const std::string& disk : arguments.list("disk")) body["disks"].push_back(disk);
  if (auto rate = size_option(arguments, "bandwidth")) body["rate"] = *rate;
  return body;
}

int run_restore_to_host(const base::Arguments& arguments) {
  json body = body_of(arguments);
  ApiClient client(arguments);
  json answer = client.post("/restores", body);
  bool is_quiet = arguments.json();
  json job =
      arguments.has("background")
          ? answer["job"]
          : follow_accepted(client, answer, is_quiet ? FollowOutput::quiet : FollowOutput::log);
  if (arguments.json()) {
    print_json({{"job", job}});
  } else if (arguments.has("background")) {
    fmt::print("Job {} restores {} to {}.\n", text_of(job, "id"),
               printable(text_of(job, "subject")), printable(arguments.get("HOST")));
  }
  return 0;
}

}  // namespace

base::Command restore_to_host_command() {
  base::Command command;
  command.name = "restore to-host";
  command.summary = "Restore a machine to a host, through its agent";
  command.positional = {"POINT", "HOST"};
  command.declare_options = declare_restore_to_host;
  command.run = run_restore_to_host;
  command.notes =
      std::string(kPointHelp) +
      "\n\n"
      "Say where to with --target, --folder or --in-place. The host's agent asks for its order, "
      "reads what its disks lack from the appliance, and writes it: a disk that holds an older "
      "state "
      "of the machine is compared where it is, and only what differs travels. At the end the disks "
      "are read back. If it is interrupted, the same command continues.\n\n"
      "The host decides what may be written: libvirt's images folder and the disks of its own "
      "machines, unless restore_directories in its agent.toml says otherwise. What is in use, too "
      "small or not empty is refused, with what was found on it.\n\n"
      "With --define the machine's definition is adapted to that host, and the job's log says what "
      "was changed.";
  return command;
}

}  // namespace appliance::cli
