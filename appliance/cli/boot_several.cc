#include "appliance/cli/boot_several.h"

#include <fmt/format.h>

#include "appliance/cli/boot_waiting.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

constexpr uint64_t kMaxAtOnce = 64;

std::vector<std::vector<std::string>> groups_of(const base::Arguments& arguments) {
  std::vector<std::vector<std::string>> groups;
  if (!arguments.list("POINT").empty()) groups.push_back(arguments.list("POINT"));
  for (const std::string& group : arguments.list("then")) groups.push_back(base::split(group, ','));
  return groups;
}

void print_outcomes(const nlohmann::json& boots) {
  Table table({{"MACHINE"}, {"GROUP"}, {"STATE"}, {"VM"}, {"ANSWERED AFTER"}, {"ERROR"}});
  for (const nlohmann::json& boot : boots) {
    bool answered = boot["state"] == "answered";
    table.add({text_of(boot, "machine"), text_of(boot, "group"), text_of(boot, "state"),
               text_of(boot, "boot"), answered ? duration_of(boot, "answered_ms") : "-",
               text_of(boot, "error")});
  }
  table.print("Nothing was started.");
}

}  // namespace

void declare_several(base::options::options_description_easy_init add) {
  using base::options::value;
  add("then", value<std::vector<std::string>>()->value_name("POINT,…"),
      "points to start next, once those before have answered or timed out")(
      "all",
      "also start the newest point of every other machine of the tenant, after those that are "
      "named")("delay", value<std::string>()->value_name("DURATION"),
               "time between an answer and the next start, such as 30s (default: none)")(
      "at-once", value<std::string>()->value_name("COUNT"),
      "how many guests may boot at the same time (default: by the number of CPUs)")(
      "keep-going", "start the next points even if one before could not be started");
}

bool means_several(const base::Arguments& arguments) {
  return arguments.list("POINT").size() != 1 || arguments.has("then") || arguments.has("all");
}

int start_several(const base::Arguments& arguments, nlohmann::json body) {
  std::vector<std::vector<std::string>> groups = groups_of(arguments);
  if (groups.empty() && !arguments.has("all")) {
    throw base::Error(base::ErrorCode::invalid_argument, "POINT is missing, or --all");
  }
  body["groups"] = groups;
  if (arguments.has("all")) body["all"] = true;
  if (arguments.has("delay")) body["delay"] = arguments.get("delay");
  if (auto count = number_option(arguments, "at-once", 1, kMaxAtOnce)) body["at_once"] = *count;
  if (arguments.has("keep-going")) body["keep_going"] = true;
  body.update(wait_body(arguments));
  ApiClient client(arguments);
  nlohmann::json answer = client.post("/boot-orders", body);
  std::string path = fmt::format("/jobs/{}", answer["job"]["id"].get<int64_t>());
  std::optional<base::Error> failure;
  try {
    follow_accepted(client, answer, FollowOutput::quiet);
  } catch (const base::Error& error) {
    failure = error;
  }
  nlohmann::json boots = client.get(path)["job"]["figures"].value("boots", nlohmann::json::array());
  if (!print_if_json(arguments, {{"boots", boots}})) print_outcomes(boots);
  if (failure) throw *failure;
  return 0;
}

}  // namespace appliance::cli
