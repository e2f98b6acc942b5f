#include "appliance/schedule/store_check.h"

#include <fmt/format.h>

#include <future>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "base/thread_priority.h"

namespace appliance::schedule {
namespace {

using nlohmann::json;

json figures_of(const images::CheckReport& report) {
  json damaged = json::array();
  for (const images::PointSummary& point : report.damaged) damaged.push_back(point.id.hex());
  return {{"packs_checked", report.packs_checked},
          {"chunks_checked", report.chunks_checked},
          {"points_checked", report.points_checked},
          {"problem_count", report.problems.size()},
          {"damaged_points", damaged}};
}

images::CheckReport check(stores::TenantStores& stores, const StoreCheckOrder& order,
                          jobs::JobContext& context) {
  images::CheckOptions options;
  options.deep = order.deep;
  options.stop = context.stop();
  options.on_progress = [&](uint64_t done, uint64_t total) {
    context.set_progress({done, total, "reading packs"});
  };
  return stores.require_writable(order.tenant)->check(options);
}

void remember(catalog::PointRecords& catalog, const StoreCheckOrder& order,
              const images::CheckReport& report) {
  catalog::StoreCheck result;
  result.checked_ms = base::now_ms();
  result.deep = order.deep;
  result.problem_count = report.problems.size();
  if (!report.good()) result.first_problem = report.problems.front();
  std::vector<images::PointId> damaged;
  for (const images::PointSummary& point : report.damaged) damaged.push_back(point.id);
  catalog.save_store_check(order.tenant, result, damaged);
}

}  // namespace

jobs::JobId submit_store_check(jobs::JobRunner& jobs, stores::TenantStores& stores,
                               catalog::PointRecords& catalog, const StoreCheckOrder& order) {
  // A deep check is not the same as one that is running; one on request does not wait for the
  // night.
  jobs::JobSpec spec{
      "check", order.tenant, order.tenant, order.requested_by,
      fmt::format("check {} {} {}", order.deep, order.in_background, order.tenant.text())};
  return jobs.submit(spec, [&stores, &catalog, order](jobs::JobContext& context) {
    images::CheckReport report;
    if (order.in_background) {
      // A thread of its own: no other job may inherit the priority.
      auto checked = std::async(std::launch::async, [&] {
        base::lower_thread_priority();
        return check(stores, order, context);
      });
      report = checked.get();
    } else {
      report = check(stores, order, context);
    }
    context.set_figures(base::dump_text(figures_of(report)));
    remember(catalog, order, report);
    for (const std::string& problem : report.problems) context.log(problem);
    if (report.good()) return;
    throw base::Error(
        base::ErrorCode::corrupt,
        fmt::format("the store has {}, and {} damaged by it. The job's log names them",
                    base::format_count(report.problems.size(), "problem"),
                    report.damaged.size() == 1
                        ? "1 point is"
                        : fmt::format("{} points are", report.damaged.size())));
  });
}

}  // namespace appliance::schedule
