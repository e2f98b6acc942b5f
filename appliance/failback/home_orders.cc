#include "appliance/failback/home_orders.h"

#include <nlohmann/json.hpp>

#include "base/json_access.h"

namespace appliance::failback {
namespace {

using nlohmann::json;

const char* name_of(HomeStep step) {
  switch (step) {
    case HomeStep::last: return "last";
    case HomeStep::start: return "start";
    case HomeStep::never_start: return "never-start";
    default: return "copy";
  }
}

}  // namespace

homeward::HostRestore home_order(const catalog::Failback& failback, HomeStep step,
                                 const images::PointId& point) {
  homeward::HostRestore order;
  order.tenant = failback.tenant;
  order.host = failback.host;
  order.point = point;
  order.job_kind = "failback-round";
  order.tells_definition = step == HomeStep::last;
  json target = base::find_json(failback.plan.target).value_or(json::object());
  target["rate"] = step == HomeStep::last ? 0 : failback.plan.rate;
  // Definitions come last: until then the machine is not known there, or is the old one.
  target["define"] = step == HomeStep::last && !failback.plan.is_in_place;
  target["start"] = false;
  target["shut_down"] = false;
  if (step == HomeStep::survey) {
    target["survey"] = true;
    order.target = base::dump_text(target);
    return order;
  }
  json home{{"failback", failback.id}, {"boot", failback.boot}, {"step", name_of(step)}};
  if (step == HomeStep::start || step == HomeStep::never_start) home["number"] = failback.number;
  if (failback.point && (step == HomeStep::copy || step == HomeStep::last)) {
    home["base"] = failback.point->hex();
    order.base = failback.point;
  }
  target["home"] = home;
  order.target = base::dump_text(target);
  return order;
}

uint64_t figure_of(const catalog::Job& job, const char* name) {
  json figures = base::find_json(job.figures).value_or(json::object());
  return base::find_natural(figures, name).value_or(0);
}

HomeAnswer home_answer(const catalog::Job& job) {
  uint64_t answer = figure_of(job, "home_start");
  return answer > 3 ? HomeAnswer::none : static_cast<HomeAnswer>(answer);
}

}  // namespace appliance::failback
