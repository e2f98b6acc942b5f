#include "appliance/api/routes/restore_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/restores/restore_figures.h"
#include "appliance/restores/restore_job.h"
#include "base/error.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr size_t kMaxRestoredDisks = 64;
constexpr uint64_t kMaxListedRestores = 1000;

Response restore_to_folder(Services& services, const Request& request, BodyFields& body) {
  restores::RestoreOrder order{.tenant = request.tenant(), .requested_by = request.requester()};
  std::string point = body.required_text("point");
  order.disks = body.texts("disks", kMaxRestoredDisks);
  order.folder = body.required_text("folder");
  order.format = body.text("format").value_or("raw");
  order.in_place = body.flag("in_place");
  order.overwriting.machine_name = body.text("overwrite").value_or("");
  order.overwriting.erase_foreign = body.flag("erase_foreign");
  order.verify = restore::verify_from_name(body.text("verify").value_or("written"));
  order.survey = body.flag("survey");
  order.rate = body.natural("rate", 1, UINT64_MAX).value_or(0);
  body.require_no_more();
  if ((order.in_place || order.survey) && order.format != "raw") {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "'in_place' and 'survey' are for the format raw: other formats are always "
                      "written anew");
  }
  order.point = services.stores.writer(order.tenant)->reader().find_point(point);
  return accepted(services, restores::submit_restore(services.stores, services.jobs,
                                                     services.config.restores_directory(), order));
}

Response start_restore(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string target = body.text("target").value_or("folder");
  if (target == "folder") return restore_to_folder(services, request, body);
  if (target == "host") return restore_to_host(services, request, body);
  throw base::Error(base::ErrorCode::invalid_argument,
                    "'target' is 'folder' (of the appliance) or 'host'");
}

// A job, and what every restore has in common, whatever its target: null where it is not known yet.
json restore_json(const catalog::Job& job) {
  json restore = job_json(job);
  restores::RestoreFigures figures = restores::restore_figures(job);
  auto known = [](const std::optional<uint64_t>& value) { return value ? json(*value) : json(); };
  json target = nullptr;
  if (!figures.target.kind.empty())
    target = {{"kind", figures.target.kind}, {"name", figures.target.name}};
  restore["target"] = target;
  restore["survey"] = figures.is_survey;
  restore["size"] = known(figures.size);
  restore["differing"] = known(figures.differing);
  restore["saved"] = figures.size && figures.differing && *figures.size >= *figures.differing
                         ? json(*figures.size - *figures.differing)
                         : json();
  restore["written"] = known(figures.written);
  restore["read_back"] = known(figures.read_back);
  restore["received"] = known(figures.received);
  return restore;
}

Response list_restores(Services& services, const Request& request) {
  auto limit = static_cast<uint32_t>(request.query_number("limit", 50, kMaxListedRestores));
  std::vector<catalog::Job> jobs;
  for (std::string_view kind : restores::kRestoreKinds) {
    catalog::JobFilter filter{.scope = request.scope()};
    filter.kind = kind;
    filter.subject = request.query_value("machine");
    filter.limit = limit;
    for (catalog::Job& job : services.jobs.jobs(filter)) jobs.push_back(std::move(job));
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const auto& a, const auto& b) { return a.id.number > b.id.number; });
  if (jobs.size() > limit) jobs.resize(limit);
  json list = json::array();
  for (const catalog::Job& job : jobs) list.push_back(restore_json(job));
  return json_response({{"restores", list}});
}

// A job of another kind, or of a tenant that the principal may not see, is no restore.
Response show_restore(Services& services, const Request& request) {
  const std::string& text = request.path_value("id");
  jobs::JobId id;
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), id.number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || id.number < 1) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("'{}' is not the number of a restore; see 'muletto restore list'",
                                  text.substr(0, 80)));
  }
  catalog::Job job = services.jobs.job(id);
  if (!restores::is_restore(job) || !request.scope().sees(job.tenant))
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no restore {}", id.number));
  return json_response({{"restore", restore_json(job)}});
}

}  // namespace

void add_restore_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/restores", Privilege::job_view, Resource::tenant, list_restores},
          {"POST", "/api/v1/restores", Privilege::point_restore, Resource::point, start_restore},
          {"GET", "/api/v1/restores/{id}", Privilege::job_view, Resource::job, show_restore},
      });
}

}  // namespace appliance::api
