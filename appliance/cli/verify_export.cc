#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_verify_export(base::options::options_description_easy_init add) {
  add("to", value<std::string>()->required()->value_name("FILE"), "the file to write (required)")(
      "with-pictures",
      "also save the pictures of the screen, as FILE-1.png, …: they show everything that was on "
      "it")("yes", "do not ask");
  declare_connection(add);
}

// On standard error, so that --output json stays JSON.
void show_replaced(const nlohmann::json& answer) {
  Table table({{"KIND"}, {"WHAT IT SAID"}, {"WHAT IS WRITTEN"}, {"TIMES", Align::right}});
  for (const nlohmann::json& each : answer["replaced"]) {
    table.add({text_of(each, "kind"), printable(text_of(each, "original")),
               printable(text_of(each, "replaced_by")), text_of(each, "count")});
  }
  std::string text = answer["replaced"].empty() ? "Nothing had to be replaced.\n" : table.text();
  fmt::print(stderr,
             "{}Left out: the names of machine, tenant and hosts, the point, dates, the reasons of "
             "the verdict and of the correction, and who made it.\n",
             text);
  std::string note = answer.value("note", "");
  if (!note.empty()) fmt::print(stderr, "{}\n", printable(note));
}

void ask(const std::string& file, bool with_pictures) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "nothing was written; read the list of what is replaced, and confirm it with "
                      "--yes");
  }
  fmt::print(stderr, "{}Type 'write' to write {}: ",
             with_pictures ? "The pictures are NOT changed: they show the client's data. " : "",
             printable(file));
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "write") throw base::Error(base::ErrorCode::cancelled, "nothing was written");
}

int run_verify_export(const base::Arguments& arguments) {
  ApiClient client(arguments);
  std::string path = "/verifications/" + base::encode_percent(arguments.get("NUMBER"));
  std::string file = arguments.get("to");
  bool with_pictures = arguments.has("with-pictures");
  nlohmann::json answer = client.get(path + "/case");
  show_replaced(answer);
  if (!arguments.has("yes")) ask(file, with_pictures);
  std::string text = base::dump_text(answer["case"], 1) + "\n";
  base::write_file_durably(base::real_file_system(), file, base::as_bytes(text));
  size_t picture_count = with_pictures ? answer["case"]["screens"].size() : 0;
  for (size_t i = 1; i <= picture_count; ++i) {
    base::HttpResponse picture = client.download(fmt::format("{}/pictures/{}", path, i));
    base::write_file_durably(base::real_file_system(), fmt::format("{}-{}.png", file, i),
                             base::as_bytes(picture.body));
  }
  if (print_if_json(arguments, answer)) return 0;
  fmt::print("Written is {}{}. Read it once before you give it away.\n", printable(file),
             picture_count == 0 ? ""
                                : fmt::format(", with {} as they were, the client's data included",
                                              base::format_count(picture_count, "picture")));
  return 0;
}

}  // namespace

base::Command verify_export_command() {
  base::Command command;
  command.name = "verify export";
  command.summary = "Write a test boot as a labelled case, without the client's data";
  command.positional = {"NUMBER"};
  command.declare_options = declare_verify_export;
  command.run = run_verify_export;
  command.notes =
      "The case has the signals with their times, the texts of the screens and of the serial "
      "console, the verdict, and what a person says is right. Every word that common systems do "
      "not "
      "print, and every name, address, domain, mail address, serial and long number is replaced, "
      "the same one always by the same neutral word. What is replaced is shown first; pictures are "
      "left out unless they are asked for. tests/verification/replay judges a case again.";
  return command;
}

}  // namespace appliance::cli
