#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void declare_verify_show(base::options::options_description_easy_init add) {
  add("pictures", base::options::value<std::string>()->value_name("DIR"),
      "save the pictures of the screen in this folder, as 1.png, 2.png, …");
  declare_connection(add);
}

std::string word_for(const std::string& signal, bool good) {
  if (signal == "file system") return good ? "is whole" : "is damaged";
  if (signal == "volume") return good ? "holds" : "holds nothing known";
  return good ? "answers" : "silent";
}

void print_seen(const nlohmann::json& seen) {
  Sheet sheet;
  sheet.add("Test boot", text_of(seen, "number"));
  sheet.add("Machine", text_of(seen, "machine"));
  sheet.add("Point", fmt::format("{} of {}", short_id(seen, "point"), text_of(seen, "point_time")));
  sheet.add("Verdict", verdict_of(seen));
  for (const nlohmann::json& reason : seen["reasons"])
    sheet.add("Reason", printable(reason.get<std::string>()));
  sheet.add("Up after", duration_of(seen, "recovery_ms"));
  sheet.add("Took", duration_of(seen, "duration_ms"));
  sheet.print();
  for (const nlohmann::json& each : seen["evidence"]) {
    std::string signal = text_of(each, "signal"), good;
    if (each.contains("good")) good = word_for(signal, each["good"] == true);
    fmt::print("{:>8.1f} s  {:<11} {} {} {} {}\n", each["at_ms"].get<double>() / 1000, signal,
               printable(each.value("subject", "")), good, printable(each.value("meaning", "")),
               printable(each.value("detail", "")));
  }
}

int run_verify_show(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = "/verifications/" + base::encode_percent(arguments.get("NUMBER"));
  nlohmann::json answer = client.get(path);
  const nlohmann::json& seen = answer["verification"];
  if (arguments.has("pictures")) {
    for (size_t i = 1; i <= seen["pictures"].size(); ++i) {
      base::HttpResponse picture = client.download(fmt::format("{}/pictures/{}", path, i));
      base::write_file_durably(base::real_file_system(),
                               fmt::format("{}/{}.png", arguments.get("pictures"), i),
                               base::as_bytes(picture.body));
    }
  }
  if (!print_if_json(arguments, answer)) {
    print_seen(seen);
  }
  return 0;
}

}  // namespace

base::Command verify_show_command() {
  base::Command command;
  command.name = "verify show";
  command.summary = "Show one test boot with its evidence";
  command.positional = {"NUMBER"};
  command.declare_options = declare_verify_show;
  command.run = run_verify_show;
  command.notes = "NUMBER is the one that 'muletto verify list' shows.";
  return command;
}

}  // namespace appliance::cli
