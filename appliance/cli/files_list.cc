#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "appliance/cli/commands.h"
#include "appliance/cli/file_look.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/json_access.h"
#include "base/text.h"
#include "restore/file_listing.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

constexpr size_t kMaxSorted = 100'000;  // entries; what is more is printed as it comes

void print_files(std::vector<json>& files) {
  std::sort(files.begin(), files.end(),
            [](const json& a, const json& b) { return text_of(a, "name") < text_of(b, "name"); });
  for (const json& each : files) fmt::print("{}", restore::file_line(each));
  files.clear();
}

int list_folder(const base::Arguments& arguments, const ApiClient& client, const FileLook& look) {
  std::vector<json> files;
  json problems = json::array(), next = json("0"), all = json::array();
  while (next.is_string()) {
    json page = client.get(look.path("") + path_field(arguments) +
                           "&limit=5000&after=" + next.get<std::string>());
    for (json& each : page["files"]) {
      if (arguments.json()) all.push_back(std::move(each));
      else files.push_back(std::move(each));
    }
    for (json& each : page["problems"]) problems.push_back(std::move(each));
    next = page["next"];
    if (files.size() >= kMaxSorted) print_files(files);
  }
  if (arguments.json()) {
    print_json({{"files", all}, {"problems", problems}});
  } else {
    print_files(files);
  }
  for (const json& each : problems)
    fmt::print(stderr, "{}: {}\n", text_of(each, "name"), text_of(each, "reason"));
  return problems.empty() ? 0 : 1;
}

int run_files_list(const base::Arguments& arguments) {
  ApiClient client(arguments);
  FileLook look(client, arguments, arguments.get("POINT"));
  if (arguments.has("PLACE")) return list_folder(arguments, client, look);
  json answer = client.get(look.path(""));
  if (!print_if_json(arguments, answer)) fmt::print("{}", restore::volumes_text(answer["look"]));
  return answer["look"]["unread"].empty() ? 0 : 1;
}

}  // namespace

base::Command files_list_command() {
  base::Command command;
  command.name = "files list";
  command.summary = "List the file systems of a point, or a folder in one";
  command.positional = {"POINT", "PLACE?"};
  command.declare_options = declare_files;
  command.run = run_files_list;
  command.notes = std::string(kPointHelp) + "\n\n" + restore::kFileHelp +
                  "\n\nThe exit code is 1 if something could not be read, which is named.";
  return command;
}

}  // namespace appliance::cli
