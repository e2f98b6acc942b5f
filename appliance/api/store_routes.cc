#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/body_fields.h"
#include "appliance/api/json_values.h"
#include "appliance/api/routes.h"
#include "appliance/schedule/compaction.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response show_store(Services& services, const Request& request) {
  auto writer = services.stores.writer(request.tenant());
  json result = store_figures_json(writer->figures());
  result["id"] = writer->reader().id().hex();
  result["directory"] = services.stores.directory_of(request.tenant());
  return json_response({{"store", result}});
}

json check_figures(const images::CheckReport& report) {
  json damaged = json::array();
  for (const images::PointSummary& point : report.damaged) damaged.push_back(point.id.hex());
  return {{"packs_checked", report.packs_checked},
          {"chunks_checked", report.chunks_checked},
          {"points_checked", report.points_checked},
          {"problem_count", report.problems.size()},
          {"damaged_points", damaged}};
}

void run_check(Services& services, const std::string& tenant, bool deep,
               jobs::JobContext& context) {
  images::CheckOptions options;
  options.deep = deep;
  options.stop = context.stop();
  options.on_progress = [&](uint64_t done, uint64_t total) {
    context.set_progress({done, total, "reading packs"});
  };
  images::CheckReport report = services.stores.writer(tenant)->check(options);
  context.set_figures(check_figures(report).dump());
  std::vector<images::PointId> damaged;
  for (const images::PointSummary& point : report.damaged) damaged.push_back(point.id);
  services.catalog.set_damaged_points(tenant, damaged, base::now_ms());
  for (const std::string& problem : report.problems) context.log(problem);
  if (!report.good()) {
    throw base::Error(
        base::ErrorCode::corrupt,
        fmt::format("the store has {} problems; {} points are touched. The job's log names them",
                    report.problems.size(), report.damaged.size()));
  }
}

Response check_store(Services& services, const Request& request) {
  BodyFields body(request.body);
  bool deep = body.flag("deep");
  body.expect_no_more();
  std::string tenant = request.tenant();
  services.stores.writer(tenant);
  jobs::JobSpec spec{"check", tenant, tenant};
  return accepted(services,
                  services.jobs.submit(spec, [&services, tenant, deep](jobs::JobContext& context) {
                    run_check(services, tenant, deep, context);
                  }));
}

Response compact_store(Services& services, const Request& request) {
  BodyFields(request.body).expect_no_more();
  std::string tenant = request.tenant();
  services.stores.writer(tenant);
  return accepted(services, schedule::submit_compaction(services.jobs, services.stores, tenant));
}

// The catalog's list of points is derived from the store: this makes it anew.
Response recompute_points(Services& services, const Request& request) {
  BodyFields(request.body).expect_no_more();
  return json_response({{"point_count", services.stores.recompute_points(request.tenant())}});
}

}  // namespace

void add_store_routes(Router& router, Services& services) {
  router.add({"GET", "/api/v1/store", Access::operators,
              [&services](const Request& request) { return show_store(services, request); }});
  router.add({"POST", "/api/v1/store/check", Access::operators,
              [&services](const Request& request) { return check_store(services, request); }});
  router.add({"POST", "/api/v1/store/compact", Access::operators,
              [&services](const Request& request) { return compact_store(services, request); }});
  router.add({"POST", "/api/v1/store/recompute", Access::operators,
              [&services](const Request& request) { return recompute_points(services, request); }});
}

}  // namespace appliance::api
