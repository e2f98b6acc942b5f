#include <fmt/format.h>

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

void declare_target(base::options::options_description_easy_init add) {
  add("folder", value<std::string>()->required()->value_name("NAME"),
      "a folder in the appliance's directory of restores; made if it does not exist");
  add("disk", value<std::vector<std::string>>()->value_name("NAME"),
      "only this disk; may be repeated (default: all, and the definition)");
  add("limit", value<std::string>()->value_name("SIZE"), "bytes written per second at most: 50M");
}

void declare_restore_start(base::options::options_description_easy_init add) {
  declare_target(add);
  add("format",
      value<std::string>()->default_value("raw")->value_name(
          "raw|qcow2|vmdk|vhdx|vdi|vpc|qcow|qed|parallels"),
      "format of the disks");
  add("in-place", "write into the raw files that are there, and only what differs");
  add("verify", value<std::string>()->default_value("written")->value_name("written|all|none"),
      "what is read back at the end and compared with the point");
  add("overwrite", value<std::string>()->value_name("NAME"),
      "what is there may be lost; NAME is the machine's name");
  add("erase-foreign", "with --overwrite: also what belongs to another disk");
  add("no-wait", "print the job's number and do not wait for it");
  declare_connection(add);
}

json restore_order_of(const base::Arguments& arguments) {
  json order{{"point", arguments.get("POINT")}, {"folder", arguments.get("folder")}};
  if (arguments.has("disk")) order["disks"] = arguments.list("disk");
  if (auto rate = size_option(arguments, "limit")) order["rate"] = *rate;
  return order;
}

void print_disks(const json& job, const char* field, std::string_view words) {
  for (const json& disk : job["figures"]["disks"]) {
    fmt::print("{}: {} of {} {}\n", printable(text_of(disk, "disk")), size_of(disk, field),
               size_of(disk, "size"), words);
  }
  for (const json& note : job["figures"]["notes"])
    if (note.is_string()) fmt::print("{}.\n", printable(note.get<std::string>()));
}

int run_restore_start(const base::Arguments& arguments) {
  json order = restore_order_of(arguments);
  order["format"] = arguments.get("format");
  order["verify"] = arguments.get("verify");
  order["in_place"] = arguments.has("in-place");
  order["erase_foreign"] = arguments.has("erase-foreign");
  if (arguments.has("overwrite")) order["overwrite"] = arguments.get("overwrite");
  ApiClient client(arguments);
  json answer = client.post("/restores", order);
  if (arguments.has("no-wait")) {
    if (!print_if_json(arguments, answer))
      fmt::print("Restore {} has begun.\n", text_of(answer["job"], "id"));
    return 0;
  }
  json job = follow_accepted(client, answer, FollowOutput::quiet);
  if (print_if_json(arguments, {{"restore", job}})) return 0;
  print_disks(job, "written", "written");
  for (const json& file : job["figures"]["files"])
    if (file.is_string()) fmt::print("{}\n", printable(file.get<std::string>()));
  return 0;
}

void declare_restore_survey(base::options::options_description_easy_init add) {
  declare_target(add);
  declare_connection(add);
}

int run_restore_survey(const base::Arguments& arguments) {
  json order = restore_order_of(arguments);
  order["survey"] = true;
  ApiClient client(arguments);
  json job = follow_accepted(client, client.post("/restores", order), FollowOutput::quiet);
  if (print_if_json(arguments, {{"restore", job}})) return 0;
  print_disks(job, "differing", "differ and would be written");
  return 0;
}

}  // namespace

base::Command restore_start_command() {
  base::Command command;
  command.name = "restore start";
  command.summary = "Write a machine's disks and definition to files on the appliance";
  command.positional = {"POINT"};
  command.declare_options = declare_restore_start;
  command.run = run_restore_start;
  command.notes =
      std::string(kPointHelp) +
      "\n\nThe files are in the appliance's directory of restores (restore.directory in "
      "mulettod.toml), in a folder of the tenant. It is a job: 'muletto job cancel' ends it. With "
      "--in-place an interrupted restore is resumed by the same command.";
  return command;
}

base::Command restore_survey_command() {
  base::Command command;
  command.name = "restore survey";
  command.summary = "Say how much of earlier restored files differs from a point";
  command.positional = {"POINT"};
  command.declare_options = declare_restore_survey;
  command.run = run_restore_survey;
  command.notes = std::string(kPointHelp) + "\n\nNothing is written.";
  return command;
}

}  // namespace appliance::cli
