#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/commands.h"
#include "appliance/cli/file_look.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "restore/file_listing.h"
#include "restore/file_output.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

// The download's job says whether all of it was read: the bytes alone do not.
void require_success(const ApiClient& client, const std::string& number) {
  json job = client.get("/jobs/" + base::encode_percent(number))["job"];
  if (text_of(job, "state") == "succeeded") return;
  const json& error = job["error"];
  if (!error.is_object())
    throw Error(ErrorCode::unavailable, "the download was ended before its end");
  throw Error(base::error_code_from_name(text_of(error, "code")), text_of(error, "message"));
}

int run_files_get(const base::Arguments& arguments) {
  std::string format = restore::download_format(arguments), to = arguments.get("to");
  ApiClient client(arguments);
  FileLook look(client, arguments, arguments.get("POINT"));
  std::string path = format == "raw"
                         ? look.path("/content") + path_field(arguments)
                         : look.path("/archive") + path_field(arguments) + "&format=" + format;
  restore::FileOutput output(to, arguments.has("force"));
  uint64_t written = 0;
  base::TerminalLine progress;
  base::HttpResponse answer = client.stream(path, [&](std::string_view piece) {
    output.write(piece);
    if (written >> 24 != (written + piece.size()) >> 24)
      progress.show(base::format_size(written) + " written");
    written += piece.size();
    return true;
  });
  progress.clear();
  output.commit();
  std::string job = answer.job;
  if (arguments.json() && to != "-") {
    print_json({{"file", to}, {"format", format}, {"size", written}, {"job", job}});
  } else {
    fmt::print(stderr, "{} written.\n", base::format_size(written));
  }
  require_success(client, job);
  return 0;
}

}  // namespace

base::Command files_get_command() {
  base::Command command;
  command.name = "files get";
  command.summary = "Download a file or folder of a point";
  command.positional = {"POINT", "PLACE"};
  command.declare_options = [](auto add) {
    restore::declare_download(add);
    declare_files(add);
  };
  command.run = run_files_get;
  command.notes = std::string(restore::kDownloadHelp) + "\n\n" + kPointHelp + "\n\n" +
                  restore::kFileHelp +
                  "\n\nEach download is a job: 'muletto job list --kind "
                  "download' shows who downloaded what.";
  return command;
}

}  // namespace appliance::cli
