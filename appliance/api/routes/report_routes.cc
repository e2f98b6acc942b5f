#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/routes.h"
#include "appliance/report/report_service.h"
#include "base/text.h"

namespace appliance::api {
namespace {

constexpr uint64_t kDefaultPeriodMs = 7ull * 24 * 3'600'000;

Response create_report(Services& services, const Request& request) {
  BodyFields body(request.body);
  report::ReportOrder order;
  order.tenant = request.tenant();
  auto from = body.text("from"), to = body.text("to");
  order.to_ms = to ? base::parse_time_ms(*to) : base::now_ms();
  order.from_ms =
      from ? base::parse_time_ms(*from) : order.to_ms - std::min(order.to_ms, kDefaultPeriodMs);
  order.timezone = body.text("timezone").value_or(order.timezone);
  order.format = report::report_format_from_name(body.text("format").value_or("html"));
  body.require_no_more();
  return accepted(services, services.reports->request(order, request.requester()));
}

Response show_report(Services& services, const Request& request) {
  report::ReportFile file = services.reports->open(request.tenant(), request.path_value("id"));
  Response response;
  bool page = file.format == report::ReportFormat::html;
  response.content_type = page ? "text/html; charset=utf-8" : "application/pdf";
  // The page needs neither scripts nor the network; should one get in, it has no effect.
  response.headers["Content-Security-Policy"] =
      "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
  response.body = std::move(file.content);
  return response;
}

}  // namespace

void add_report_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"POST", "/api/v1/reports", Privilege::report_create, Resource::tenant, create_report},
          {"GET", "/api/v1/reports/{id}", Privilege::report_view, Resource::report, show_report},
      });
}

}  // namespace appliance::api
