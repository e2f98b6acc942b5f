#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/commands.h"
#include "appliance/cli/file_look.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/text.h"
#include "restore/file_listing.h"
#include "restore/file_output.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

int run_files_find(const base::Arguments& arguments) {
  ApiClient client(arguments);
  FileLook look(client, arguments, arguments.get("POINT"));
  std::string path = look.path("/search") + path_field(arguments) +
                     "&name=" + base::encode_percent(arguments.get("name")) +
                     (arguments.has("ignore-case") ? "&ignore_case=true" : "");
  base::TerminalLine progress;
  int code = 0;
  bool is_complete = false;
  client.follow(path, [&](const json& line) {
    if (line.contains("progress")) {
      progress.show(fmt::format("{} folders looked at", line["progress"].value("folder_count", 0)));
      return true;
    }
    progress.clear();
    if (line.contains("end")) is_complete = true;
    if (line.contains("file")) {
      if (arguments.json()) fmt::print("{}\n", base::dump_text(line["file"]));
      else fmt::print("{}", restore::file_line(line["file"]));
    }
    if (line.contains("problem")) {
      code = 1;
      fmt::print(stderr, "{}: {}\n", text_of(line["problem"], "path"),
                 text_of(line["problem"], "reason"));
    }
    return true;
  });
  progress.clear();
  if (!is_complete)
    throw base::Error(base::ErrorCode::unavailable, "the search was ended before its end");
  return code;
}

}  // namespace

base::Command files_find_command() {
  base::Command command;
  command.name = "files find";
  command.summary = "Find files of a point by their names";
  command.positional = {"POINT", "PLACE?"};
  command.declare_options = [](auto add) {
    restore::declare_find(add);
    declare_files(add);
  };
  command.run = run_files_find;
  command.notes = std::string(kPointHelp) + "\n\n" + restore::kFileHelp;
  return command;
}

}  // namespace appliance::cli
