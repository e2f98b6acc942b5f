#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "appliance/api/http/live_answer.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "base/json_access.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxListedJobs = 1000;
constexpr uint64_t kMaxListedLines = 1000;

jobs::JobId parse_job_id(const Request& request) {
  const std::string& text = request.path_value("id");
  jobs::JobId id;
  auto result = std::from_chars(text.data(), text.data() + text.size(), id.number);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || id.number < 1) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' is not the number of a job; see 'muletto job list'", text.substr(0, 80)));
  }
  return id;
}

// A job of a tenant that the principal may not see is treated as if it did not exist.
jobs::JobId job_id(Services& services, const Request& request) {
  jobs::JobId id = parse_job_id(request);
  if (!request.scope().sees(services.jobs.job(id).tenant))
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no job {}", id.number));
  return id;
}

Response list_jobs(Services& services, const Request& request) {
  catalog::JobFilter filter{.scope = request.scope()};
  std::string state = request.query_value("state");
  if (!state.empty()) filter.state = catalog::job_state_from_name(state);
  filter.kind = request.query_value("kind");
  filter.subject = request.query_value("subject");
  filter.limit = static_cast<uint32_t>(request.query_number("limit", 50, kMaxListedJobs));
  json list = json::array();
  for (const catalog::Job& job : services.jobs.jobs(filter)) list.push_back(job_json(job));
  return json_response({{"jobs", list}});
}

Response show_job(Services& services, const Request& request) {
  return json_response({{"job", job_json(services.jobs.job(job_id(services, request)))}});
}

// Follows a job: its log's lines, its state whenever that has changed, and at last its outcome.
class LogFollower {
 public:
  LogFollower(Services& services, jobs::JobId id, int64_t after)
      : services_(services), id_(id), after_(after) {}

  std::optional<std::string> take() {
    if (is_over_) return std::nullopt;
    catalog::Job job = services_.jobs.job(id_);  // before the lines: an ended job has all of them
    std::string text;
    auto lines = services_.catalog.job_log(id_, after_, kMaxFollowedLines);
    for (const auto& line : lines) {
      text += base::dump_text(job_log_line_json(line)) + "\n";
      after_ = line.sequence;
    }
    is_over_ = catalog::is_over(job.state) && lines.size() < kMaxFollowedLines;
    auto seen = std::tuple(job.state, job.progress.done, job.progress.phase);
    if (is_over_ || std::exchange(seen_, seen) != seen) text += state_line(job);
    return text;
  }

  std::string sign_of_life() { return state_line(services_.jobs.job(id_)); }

 private:
  static constexpr uint32_t kMaxFollowedLines = 200;
  static std::string state_line(const catalog::Job& job) {
    return base::dump_text(json{{"job", job_json(job)}}) + "\n";
  }

  Services& services_;
  const jobs::JobId id_;
  int64_t after_;
  std::optional<std::tuple<catalog::JobState, uint64_t, std::string>> seen_;
  bool is_over_ = false;
};

Response follow_log(Services& services, jobs::JobId id, int64_t after) {
  auto follower = std::make_shared<LogFollower>(services, id, after);
  Response response;
  response.takeover =
      make_live_answer({"application/x-ndjson", [follower] { return follower->take(); },
                        [follower] { return follower->sign_of_life(); }});
  return response;
}

Response show_log(Services& services, const Request& request) {
  jobs::JobId id = job_id(services, request);  // not_found rather than an empty log
  auto after = static_cast<int64_t>(request.query_number("after", 0, INT64_MAX));
  if (request.query_value("follow") == "true") return follow_log(services, id, after);
  json lines = json::array();
  for (const auto& line : services.catalog.job_log(id, after, kMaxListedLines))
    lines.push_back(job_log_line_json(line));
  return json_response({{"lines", lines}});
}

Response cancel_job(Services& services, const Request& request) {
  services.jobs.cancel(job_id(services, request));
  return show_job(services, request);
}

}  // namespace

void add_job_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/jobs", Privilege::job_view, Resource::tenant, list_jobs},
          {"GET", "/api/v1/jobs/{id}", Privilege::job_view, Resource::job, show_job},
          {"GET", "/api/v1/jobs/{id}/log", Privilege::job_view, Resource::job, show_log},
          {"POST", "/api/v1/jobs/{id}/cancel", Privilege::job_cancel, Resource::job, cancel_job},
      });
}

}  // namespace appliance::api
