#include "appliance/points/machine_forgetting.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::points {
namespace {

using base::Error;
using base::ErrorCode;

void forget(catalog::Catalog& catalog, PointDeletion& deletion, const ForgetOrder& order,
            jobs::JobContext& context) {
  if (catalog.find_machine(order.tenant, order.machine))
    catalog.assign_machine(order.tenant, order.machine, std::nullopt);
  size_t removed = 0;
  std::vector<catalog::PointRow> rows = catalog.points(order.tenant, order.machine);
  for (const catalog::PointRow& row : rows) {
    context.throw_if_stopped();
    deletion.remove(order.tenant, row.summary.id);
    ++removed;
    context.set_progress({removed, rows.size(), "deleting points"});
  }
  catalog.forget_machine(order.tenant, order.machine, base::now_ms());
  context.set_figures(nlohmann::json{{"points", removed}}.dump());
  base::log().info("the machine {} of {} is forgotten, with {}", order.machine, order.tenant.text(),
                   base::format_count(removed, "point"));
}

}  // namespace

jobs::JobId submit_forgetting(catalog::Catalog& catalog, PointDeletion& deletion,
                              jobs::JobRunner& jobs, const ForgetOrder& order) {
  catalog::MachineTraces traces = catalog.machine_traces(order.tenant, order.machine);
  if (!traces.is_known && !traces.is_protected) {
    throw Error(ErrorCode::not_found, fmt::format("there is no machine '{}'; see 'muletto machine "
                                                  "list'",
                                                  order.machine.substr(0, 255)));
  }
  if (traces.point_count > 0 && !order.with_points) {
    throw Error(ErrorCode::busy,
                fmt::format("the machine '{}' has {}; to remove them too: --with-points",
                            order.machine, base::format_count(traces.point_count, "point")));
  }
  for (const catalog::PointRow& row : catalog.points(order.tenant, order.machine))
    deletion.require_deletable(order.tenant, row.summary.id);
  return jobs.submit({"forget", order.tenant, order.machine, order.requested_by},
                     [&catalog, &deletion, order](jobs::JobContext& context) {
                       forget(catalog, deletion, order, context);
                     });
}

}  // namespace appliance::points
