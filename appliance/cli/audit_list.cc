#include <fmt/format.h>

#include <map>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/json_access.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_audit_list(base::options::options_description_easy_init add) {
  add("limit", value<std::string>()->value_name("COUNT"),
      "how many entries are read, of the newest (default: 100, at most 1000)")(
      "after", value<std::string>()->value_name("NUMBER"), "those after that entry instead");
  declare_connection(add);
}

// "429 refused: too many wrong passwords"
std::string outcome_of(const nlohmann::json& entry) {
  std::string outcome = fmt::format("{} {}", text_of(entry, "outcome"), text_of(entry, "status"));
  if (base::find_field(entry, "job") != nullptr) outcome += ", job " + text_of(entry, "job");
  if (auto message = base::find_text(entry, "message"))
    outcome += ": " + printable(message->substr(0, 80));
  return outcome;
}

std::string text_or(const nlohmann::json& entry, const char* field, const std::string& fallback) {
  return base::find_text(entry, field).value_or(fallback);
}

// "{"kind":"restore","point":…}", shortened.
std::string details_of(const nlohmann::json& entry) {
  const nlohmann::json* details = base::find_field(entry, "details");
  return details == nullptr ? "" : printable(base::dump_text(*details).substr(0, 100));
}

int run_audit_list(const base::Arguments& arguments) {
  uint64_t limit = number_option(arguments, "limit", 1, 1000).value_or(100);
  std::string path = fmt::format("/audit?limit={}", limit);
  if (auto after = number_option(arguments, "after", 0, INT64_MAX))
    path += fmt::format("&after={}", *after);
  nlohmann::json answer = ApiClient(arguments).get(path);
  if (print_if_json(arguments, answer)) return 0;
  // An outcome is an entry of its own, and belongs to the request before it.
  std::map<uint64_t, std::string> outcomes;
  for (const nlohmann::json& row : answer["entries"]) {
    const nlohmann::json& entry = row["entry"];
    if (auto of = base::find_natural(entry, "of")) outcomes[*of] = outcome_of(entry);
  }
  Table table({{"NUMBER"}, {"TIME"}, {"WHO"}, {"FROM"}, {"WHAT"}, {"DETAILS"}, {"OUTCOME"}});
  for (const nlohmann::json& row : answer["entries"]) {
    const nlohmann::json& entry = row["entry"];
    if (base::find_natural(entry, "of")) continue;
    uint64_t number = base::find_natural(row, "sequence").value_or(0);
    std::string outcome = base::find_field(entry, "status") != nullptr ? outcome_of(entry)
                          : outcomes.count(number) != 0                ? outcomes[number]
                          : text_or(entry, "kind", "") == "request"    ? "not known (yet)"
                                                                       : "";
    table.add(
        {std::to_string(number), text_or(entry, "time", "-"),
         printable(text_or(entry, "who", "the appliance")), printable(text_or(entry, "from", "-")),
         printable(text_or(entry, "what", text_or(entry, "note", text_or(entry, "kind", "?")))),
         details_of(entry), outcome});
  }
  table.print("There are no entries.");
  return 0;
}

}  // namespace

base::Command audit_list_command() {
  base::Command command;
  command.name = "audit list";
  command.summary = "Show who did what, from where, and what came of it";
  command.declare_options = declare_audit_list;
  command.run = run_audit_list;
  return command;
}

}  // namespace appliance::cli
