#include "appliance/cli/completion_names.h"

#include <fmt/format.h>

#include <map>

#include "appliance/cli/api_client.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "base/text.h"
#include "images/store/place/open_place.h"
#include "images/store/store_reader.h"
#include "restore/point_names.h"

namespace appliance::cli {
namespace {

using Names = std::vector<base::Candidate>;

constexpr size_t kMaxPoints = 50;  // more are not read on a terminal

// A list whose entries have a name, or another field that selects them.
struct NameList {
  const char* path;
  const char* array;
  const char* field;
  const char* description;  // a field, too
};

const std::map<std::string, NameList>& name_lists() {
  static const std::map<std::string, NameList> kLists{
      {"MACHINE", {"/machines", "machines", "name", "host"}},
      {"POLICY", {"/policies", "policies", "name", "keep"}},
      {"TENANT", {"/tenants", "tenants", "name", "created"}},
      {"TOKEN", {"/tokens", "tokens", "id", "note"}},
      {"SESSION", {"/sessions", "sessions", "id", "name"}},
      {"JOB", {"/jobs?limit=50", "jobs", "id", "kind"}},
      {"RESTORE", {"/restores?limit=50", "restores", "id", "subject"}},
      {"FAILBACK", {"/failbacks", "failbacks", "id", "machine"}},
      {"ALERT", {"/alerts", "alerts", "id", "message"}},
      {"NUMBER", {"/verifications", "verifications", "number", "machine"}},
  };
  return kLists;
}

Names kinds_of_jobs() {
  Names kinds;
  for (const char* kind :
       {"sync",      "import", "host-restore", "boot",   "boots",   "stop",       "wait",
        "pull",      "verify", "bisect",       "check",  "compact", "delete",     "forget",
        "retention", "files",  "download",     "report", "restore", "alert-test", "fetch"})
    kinds.push_back({kind, ""});
  return kinds;
}

std::string text_or_empty(const nlohmann::json& object, const char* field) {
  std::string text = text_of(object, field);
  return text == "-" ? "" : text;
}

Names list_names(const ApiClient& client, const NameList& list) {
  Names names;
  nlohmann::json answer = client.get(list.path);
  for (const nlohmann::json& entry : answer[list.array])
    names.push_back({text_of(entry, list.field), text_or_empty(entry, list.description)});
  return names;
}

// "web@latest" for each machine; after "web@", the times of its points, newest first.
Names list_points(const ApiClient& client, const std::string& begun) {
  Names names;
  size_t at = begun.rfind('@');
  if (at == std::string::npos) {
    nlohmann::json answer = client.get("/machines");
    for (const nlohmann::json& machine : answer["machines"]) {
      if (!machine["latest_point"].is_object()) continue;
      names.push_back({text_of(machine, "name") + "@latest",
                       "point of " + text_of(machine["latest_point"], "time")});
    }
    return names;
  }
  std::string machine = begun.substr(0, at);
  names.push_back({machine + "@latest", "its newest point"});
  nlohmann::json points = client.get("/points?machine=" + base::encode_percent(machine))["points"];
  size_t first = points.size() > kMaxPoints ? points.size() - kMaxPoints : 0;
  for (size_t i = points.size(); i-- > first;) {
    std::string name = machine + "@" + text_of(points[i], "time");
    if (names.back().text == name) continue;  // of one second the newest is meant
    names.push_back({name, fmt::format("{}, {}", text_of(points[i], "consistency"),
                                       short_id(points[i], "id"))});
  }
  return names;
}

// A host that is revoked is selected by its id; only such a one can be forgotten.
Names list_hosts(const ApiClient& client, bool only_revoked) {
  Names names;
  nlohmann::json answer = client.get("/hosts");
  for (const nlohmann::json& host : answer["hosts"]) {
    if (host["revoked"] == true)
      names.push_back({short_id(host, "id"), text_of(host, "name") + ", revoked"});
    else if (!only_revoked)
      names.push_back({text_of(host, "name"), text_or_empty(host, "version")});
  }
  return names;
}

// A machine's name selects its instant VM if it has just one.
Names list_boots(const ApiClient& client) {
  Names names;
  std::map<std::string, int> counts;
  nlohmann::json answer = client.get("/boots");
  for (const nlohmann::json& boot : answer["boots"]) ++counts[text_of(boot, "machine")];
  for (const nlohmann::json& boot : answer["boots"]) {
    std::string machine = text_of(boot, "machine");
    if (counts[machine] == 1) names.push_back({machine, text_of(boot, "state")});
    else names.push_back({short_id(boot, "id"), "instant VM of " + machine});
  }
  return names;
}

}  // namespace

Names completion_names(const base::NameRequest& request) {
  if (request.command.starts_with("store ")) {
    if (request.kind != "POINT" || !request.arguments.has("DIR")) return {};
    return restore::point_names(
        *images::StoreReader::open(images::open_place(request.arguments.get("DIR")),
                                   key_of(request.arguments)),
        request.begun);
  }
  if (request.kind == "KIND") return kinds_of_jobs();
  ApiClient client(request.arguments);
  if (request.kind == "POINT" || request.kind == "OLD" || request.kind == "NEW")
    return list_points(client, request.begun);
  if (request.kind == "BOOT") return list_boots(client);
  if (request.kind == "HOST") return list_hosts(client, request.command == "host forget");
  auto list = name_lists().find(request.kind);
  return list == name_lists().end() ? Names{} : list_names(client, list->second);
}

}  // namespace appliance::cli
