#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

void print_signal(const nlohmann::json& each) {
  bool decisive = each.value("decisive", false);
  std::string text = each.value("detail", "");
  fmt::print("{} {:>8.1f} s  {:<12} {} {}{}\n", decisive ? ">" : " ",
             each["at_ms"].get<double>() / 1000, text_of(each, "signal"),
             printable(each.value("subject", "")), printable(each.value("meaning", "")),
             text.empty() ? "" : fmt::format(" \"{}\"", printable(text)));
}

void print_correction(Sheet& sheet, const nlohmann::json& seen) {
  const nlohmann::json& correction = seen["correction"];
  if (correction.is_null()) return;
  sheet.add("The appliance said", text_of(correction, "given_verdict"));
  sheet.add(
      "Corrected by",
      fmt::format("{} on {}: {}", printable(text_of(correction, "corrected_by")),
                  text_of(correction, "corrected"), printable(text_of(correction, "reason"))));
}

void print_explanation(const nlohmann::json& explanation) {
  const nlohmann::json& seen = explanation["verification"];
  Sheet sheet;
  sheet.add("Test boot",
            fmt::format("{} of {}", text_of(seen, "number"), printable(text_of(seen, "machine"))));
  sheet.add("Verdict", verdict_of(seen));
  print_correction(sheet, seen);
  if (explanation["kept"] == true) {
    sheet.add("Rule", fmt::format("{}: {}", text_of(explanation, "rule"),
                                  text_of(explanation, "rule_sentence")));
  }
  for (const nlohmann::json& reason : seen["reasons"])
    sheet.add("Reason", printable(reason.get<std::string>()));
  sheet.add("Decisive after", duration_of(seen, "decisive_ms"));
  sheet.add("Judged after", duration_of(seen, "judged_ms"));
  sheet.print();
  if (explanation["kept"] == false) {
    fmt::print(
        "What it was judged by is not kept: it was judged by an older version, or is not among the "
        "machine's last 100 test boots.\n");
    return;
  }
  for (const nlohmann::json& each : explanation["expected"])
    fmt::print("required     {}{}\n", printable(text_of(each, "check")),
               each.value("learned", false) ? " (it answered in earlier test boots)" : "");
  for (const nlohmann::json& each : explanation["signals"]) print_signal(each);
  fmt::print("  {:>8.1f} s  last activity on screen, serial console and disks\n",
             explanation["last_change_ms"].get<double>() / 1000);
  std::string given = seen["correction"].is_null() ? text_of(seen, "verdict")
                                                   : text_of(seen["correction"], "given_verdict");
  std::string again = text_of(explanation, "judged_again");
  if (again != "-" && again != given)
    fmt::print("By its present rules the appliance would say: {}\n", again);
}

int run_verify_explain(const base::Arguments& arguments) {
  nlohmann::json answer = ApiClient(arguments).get(
      fmt::format("/verifications/{}/explanation", base::encode_percent(arguments.get("NUMBER"))));
  if (!print_if_json(arguments, answer)) print_explanation(answer["explanation"]);
  return 0;
}

}  // namespace

base::Command verify_explain_command() {
  base::Command command;
  command.name = "verify explain";
  command.summary = "Explain a verdict: each signal, its time and text, and the rule that decided";
  command.positional = {"NUMBER"};
  command.declare_options = declare_connection;
  command.run = run_verify_explain;
  command.notes =
      "NUMBER is the one that 'muletto verify list' shows. Signals that decided are marked with "
      "'>'. If the verdict is wrong: 'muletto verify correct'.";
  return command;
}

}  // namespace appliance::cli
