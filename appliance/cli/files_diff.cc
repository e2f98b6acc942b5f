#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/commands.h"
#include "appliance/cli/file_look.h"
#include "appliance/cli/present.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/text.h"
#include "restore/file_listing.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

int run_files_diff(const base::Arguments& arguments) {
  ApiClient client(arguments);
  FileLook before(client, arguments, arguments.get("OLD"));
  FileLook after(client, arguments, arguments.get("NEW"));
  std::string path = after.path("/changes") + path_field(arguments) +
                     "&since=" + base::encode_percent(arguments.get("OLD")) +
                     before.field("since_look");
  base::TerminalLine progress;
  bool is_complete = false, has_problem = false;
  client.follow(path, [&](const json& line) {
    if (line.contains("progress")) {
      progress.show(fmt::format("{} folders compared", line["progress"].value("folder_count", 0)));
      return true;
    }
    progress.clear();
    if (line.contains("end")) {
      is_complete = true;
      return true;
    }
    has_problem = has_problem || line.contains("problem");
    if (arguments.json()) fmt::print("{}\n", base::dump_text(line));
    else fmt::print("{}", restore::change_line(line));
    return true;
  });
  progress.clear();
  if (!is_complete)
    throw base::Error(base::ErrorCode::unavailable, "the comparison was ended before its end");
  return has_problem ? 1 : 0;
}

}  // namespace

base::Command files_diff_command() {
  base::Command command;
  command.name = "files diff";
  command.summary = "Compare the files of two points of a machine";
  command.positional = {"OLD", "NEW", "PLACE?"};
  command.declare_options = declare_files;
  command.run = run_files_diff;
  command.notes =
      std::string(
          "Prints what was added, changed and deleted from OLD to NEW, by what the file "
          "systems say of each file: its size, times, owner, permissions. Contents are not "
          "read. OLD and NEW are points: ids, unique prefixes, or MACHINE@latest and "
          "MACHINE@TIME.\n\n") +
      restore::kFileHelp;
  return command;
}

}  // namespace appliance::cli
