#include "appliance/api/http/request_note.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/json_access.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr size_t kMaxDetail = 200;        // bytes of one text
constexpr size_t kMaxParsed = 64 * 1024;  // bytes of a body that is looked into

// Fields of bodies whose values are noted: they say what a request is about. Of all others only the
// names are, since they may be secrets.
constexpr std::array kTold{
    "action",    "allow",    "code_count", "confirm",  "count",     "disabled",  "disks",
    "encrypted", "expires",  "folder",     "format",   "groups",    "host",      "keep",
    "kind",      "machine",  "mode",       "name",     "network",   "note",      "overlay",
    "path",      "point",    "policy",     "purpose",  "quota",     "reason",    "restart",
    "role",      "schedule", "state",      "tenant",   "time",      "timeline",  "until",
    "user",      "verdict",  "wanted",     "bin_days", "lock_days", "directory", "keep_overlay",
    "confirmed", "machines"};

bool is_told(const std::string& name) {
  return std::find(kTold.begin(), kTold.end(), std::string_view(name)) != kTold.end();
}

json told(const json& value) {
  if (value.is_string()) return value.get<std::string>().substr(0, kMaxDetail);
  if (value.is_number() || value.is_boolean()) return value;
  std::string text = base::dump_text(value);
  return text.size() <= kMaxDetail ? value : json(text.substr(0, kMaxDetail));
}

json details_of(const std::string& body) {
  constexpr size_t kMaxFields = 32;
  json details = json::object();
  if (body.empty() || body.size() > kMaxParsed) return details;
  auto fields = base::find_json(body);
  if (!fields || !fields->is_object()) return details;
  json others = json::array();
  for (const auto& [name, value] : fields->items()) {
    if (details.size() + others.size() >= kMaxFields) break;
    if (is_told(name)) details[name] = told(value);
    else others.push_back(name.substr(0, 60));
  }
  if (!others.empty()) details["not_told"] = std::move(others);
  return details;
}

bool reads_content(const Route& route) {
  return route.needs == Privilege::file_download || route.needs == Privilege::point_restore ||
         route.needs == Privilege::vm_console || route.pattern.ends_with("/console/ws");
}

bool changes(const std::string& method) { return method != "GET" && method != "HEAD"; }

bool is_refusal(int status) { return status == 401 || status == 403 || status == 429; }

std::string what_of(const Request& request) {
  return request.method + " " + request.target.substr(0, request.target.find('?'));
}

audit::Happening happening_of(const Request& request) {
  audit::Happening happening;
  happening.who = request.principal.name;
  happening.from = request.address;
  happening.what = what_of(request);
  happening.tenant = request.query_value("tenant");
  if (happening.tenant.empty()) {
    if (auto only = request.scope().only()) happening.tenant = only->text();
  }
  if (changes(request.method)) happening.details = details_of(request.body);
  return happening;
}

// What was read lately: by whom and what. Thread-safe.
class LatelyRead {
 public:
  // True for the first time in a while.
  bool add(const std::string& who_and_what) {
    constexpr size_t kMaxKept = 2000;
    uint64_t now_ms = base::steady_ms();
    auto times = times_.lock();
    if (times->size() >= kMaxKept)
      std::erase_if(*times, [&](const auto& each) { return now_ms - each.second >= kAgainMs; });
    if (times->size() >= kMaxKept) return true;
    auto [found, is_new] = times->try_emplace(who_and_what, now_ms);
    if (!is_new && now_ms - found->second < kAgainMs) return false;
    found->second = now_ms;
    return true;
  }

 private:
  static constexpr uint64_t kAgainMs = 10 * 60'000;
  base::Guarded<std::map<std::string, uint64_t>> times_;
};

LatelyRead& lately_read() {
  static LatelyRead read;
  return read;
}

audit::Outcome outcome_of(const Response& response) {
  constexpr size_t kMaxAnswer = 64 * 1024;
  audit::Outcome outcome;
  outcome.status = response.takeover ? 101 : response.status;
  if (response.body.size() > kMaxAnswer || response.content_type != "application/json")
    return outcome;
  auto body = base::find_json(response.body);
  if (!body) return outcome;
  if (const json* error = base::find_field(*body, "error"))
    outcome.message = base::find_text(*error, "message").value_or("");
  if (const json* job = base::find_field(*body, "job"))
    outcome.job = base::find_natural(*job, "id");
  return outcome;
}

}  // namespace

void RequestNote::begin(const Route& route, const Request& request) {
  if (log_ == nullptr || route.needs == Privilege::host_work) return;
  bool is_change = changes(request.method);
  if (!is_change) {
    if (!reads_content(route) || request.principal.name.empty() ||
        !lately_read().add(request.principal.name + " " + what_of(request)))
      return;
  }
  has_begun_ = true;
  // A stranger's has one entry, with its outcome: strangers must not fill the log.
  if (request.principal.name.empty()) log_->require_writable();
  else number_ = log_->begin(happening_of(request));
}

void RequestNote::end(const Request& request, const Response& response) noexcept {
  if (log_ == nullptr) return;
  try {
    if (number_) {
      log_->end(*number_, outcome_of(response));
    } else if (has_begun_ || is_refusal(response.status)) {
      log_->note(happening_of(request), outcome_of(response));
    }
  } catch (const std::exception&) {
    // Memory is short; the next entry that is written says nothing of it, the daemon's log does.
  }
}

}  // namespace appliance::api
