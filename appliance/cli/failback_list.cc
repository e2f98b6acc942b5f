#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/failback_sheet.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

std::string failback_step(const json& failback) {
  std::string step = text_of(failback, "step");
  return failback["paused"] == true ? step + " (paused)" : step;
}

const char* failback_holder(const json& failback) {
  std::string holder = text_of(failback, "holder");
  if (holder == "here") return "here";
  if (holder == "nobody") return "nowhere: between here and home";
  return text_of(failback, "step") == "starting" ? "handed to home, which has not answered yet"
                                                 : "at home";
}

void declare_failback_list(base::options::options_description_easy_init add) {
  add("all", "also those that are over");
  declare_connection(add);
}

int run_failback_list(const base::Arguments& arguments) {
  json answer = ApiClient(arguments).get(arguments.has("all") ? "/failbacks?all=1" : "/failbacks");
  if (print_if_json(arguments, answer)) return 0;
  TenantTable table(answer["failbacks"], {{"FAILBACK", Align::right},
                                          {"MACHINE"},
                                          {"HOME"},
                                          {"STEP"},
                                          {"RUNS"},
                                          {"PAUSE", Align::right},
                                          {"PROBLEM"}});
  for (const json& failback : answer["failbacks"]) {
    bool is_measured = failback["pause_ms"].is_number();
    std::string pause = is_measured ? duration_of(failback, "pause_ms")
                        : failback["predicted_ms"].is_number()
                            ? "~" + duration_of(failback, "predicted_ms")
                            : "-";
    table.add(failback, {text_of(failback, "id"), text_of(failback, "machine"),
                         text_of(failback, "host"), failback_step(failback),
                         failback_holder(failback), pause, text_of(failback, "problem")});
  }
  table.print("There are no failbacks.");
  return 0;
}

void declare_failback_show(base::options::options_description_easy_init add) {
  declare_connection(add);
}

int run_failback_show(const base::Arguments& arguments) {
  json answer =
      ApiClient(arguments).get("/failbacks/" + base::encode_percent(arguments.get("FAILBACK")));
  if (!print_if_json(arguments, answer)) print_failback(answer["failback"]);
  return 0;
}

}  // namespace

void print_failback(const json& failback) {
  Sheet sheet;
  sheet.add("Failback", text_of(failback, "id"));
  sheet.add("Machine", printable(text_of(failback, "machine")));
  sheet.add("Instant VM", text_of(failback, "boot"));
  sheet.add("Home", printable(text_of(failback, "host")));
  sheet.add("Step", failback_step(failback));
  sheet.add("Since", text_of(failback, "step_began"));
  sheet.add("The machine runs", failback_holder(failback));
  if (failback["at"].is_string()) sheet.add("Switch", "at " + text_of(failback, "at"));
  if (failback["switch_wanted"] == true) sheet.add("Switch", "as soon as it may");
  sheet.add("Home holds", text_of(failback, "point"));
  sheet.add("Rounds", text_of(failback, "rounds"));
  sheet.add("Last round", size_of(failback, "last_written"));
  if (failback["predicted_ms"].is_number())
    sheet.add("Pause, predicted", duration_of(failback, "predicted_ms"));
  if (failback["pause_ms"].is_number())
    sheet.add("Pause, measured", duration_of(failback, "pause_ms"));
  if (failback["problem"].is_string())
    sheet.add("Problem", printable(text_of(failback, "problem")));
  sheet.add("Job", text_of(failback, "job"));
  sheet.print();
}

base::Command failback_list_command() {
  base::Command command;
  command.name = "failback list";
  command.summary = "List instant VMs on their way home";
  command.declare_options = declare_failback_list;
  command.run = run_failback_list;
  return command;
}

base::Command failback_show_command() {
  base::Command command;
  command.name = "failback show";
  command.summary = "Show how far a failback is, and where the machine runs";
  command.positional = {"FAILBACK"};
  command.declare_options = declare_failback_show;
  command.run = run_failback_show;
  command.notes = "Its job's log tells each step: muletto job show JOB.";
  return command;
}

}  // namespace appliance::cli
