#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_verify_correct(base::options::options_description_easy_init add) {
  add("reason", value<std::string>()->value_name("TEXT"),
      "why, for the lists and the report (required)")(
      "text", value<std::string>()->value_name("TEXT"),
      "teach only the lines of the console that contain this text")(
      "no-teaching", "correct this verdict only, and teach nothing")(
      "outvote-trouble",
      "the kernel's own words of trouble on that screen do not count for this machine any more")(
      "withdraw", "take the correction back, and forget what it taught");
  declare_connection(add);
}

int withdraw(const base::Arguments& arguments, const ApiClient& client, const std::string& path) {
  nlohmann::json answer = client.remove(path);
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("The correction was withdrawn; the verdict is {} again.\n",
             text_of(answer["verification"], "verdict"));
  return 0;
}

void print_result(const nlohmann::json& answer) {
  const nlohmann::json& seen = answer["verification"];
  fmt::print("Test boot {} of {} is now: {}\n", text_of(seen, "number"),
             printable(text_of(seen, "machine")), text_of(seen, "verdict"));
  const nlohmann::json& taught = answer["taught"];
  if (!taught.is_null()) {
    fmt::print("Taught, for this machine only (rule {}): these lines mean {}\n",
               text_of(taught, "number"), text_of(taught, "means"));
    for (const nlohmann::json& line : taught["lines"])
      fmt::print("  {}\n", printable(line.get<std::string>()));
    for (const nlohmann::json& line : taught["tolerated"])
      fmt::print("No longer trouble: {}\n", printable(line.get<std::string>()));
  }
  std::string note = answer.value("note", "");
  if (!note.empty()) fmt::print("{}\n", printable(note));
}

int run_verify_correct(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path =
      fmt::format("/verifications/{}/correction", base::encode_percent(arguments.get("NUMBER")));
  if (arguments.has("withdraw")) {
    if (arguments.has("VERDICT"))
      throw base::Error(base::ErrorCode::invalid_argument, "either a verdict or --withdraw");
    return withdraw(arguments, client, path);
  }
  nlohmann::json body{{"verdict", arguments.get("VERDICT")}, {"reason", arguments.get("reason")}};
  if (arguments.has("text")) body["only_text"] = arguments.get("text");
  if (arguments.has("no-teaching")) body["without_teaching"] = true;
  if (arguments.has("outvote-trouble")) body["outvote_trouble"] = true;
  nlohmann::json answer = client.put(path, body);
  if (!print_if_json(arguments, answer)) print_result(answer);
  return 0;
}

}  // namespace

base::Command verify_correct_command() {
  base::Command command;
  command.name = "verify correct";
  command.summary = "Correct a wrong verdict, and teach the machine's next test boots";
  command.positional = {"NUMBER", "VERDICT?"};
  command.declare_options = declare_verify_correct;
  command.run = run_verify_correct;
  command.values = {{"VERDICT", "pass|fail"}};
  command.notes =
      "The text that was on the screen at the end (or else at the end of the serial console) then "
      "counts as up (pass) or down (fail) in this machine's test boots, whatever clocks and "
      "numbers "
      "it shows. Start messages never count as up, login prompts never as down. Errors of the "
      "kernel still count, unless --outvote-trouble is given.\n\n"
      "Only the last 100 test boots of a machine can be corrected. See what was taught with "
      "'muletto "
      "verify rules', and remove it with 'muletto verify forget'.";
  return command;
}

}  // namespace appliance::cli
