// The audit log: read, checked, exported.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/audit/audit_service.h"
#include "base/json_access.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxListed = 1000;

json entry_json(const catalog::AuditRow& row) {
  json entry = base::find_json(row.body, base::kOwnJsonLimits).value_or(json());
  // What somebody else wrote there is shown as it is.
  if (!entry.is_object()) entry = {{"unreadable", row.body.substr(0, 400)}};
  return {{"sequence", row.sequence}, {"hash", base::to_hex(row.hash)}, {"entry", entry}};
}

// ?after=NUMBER: those after it, oldest first; else the newest ones.
Response list_entries(Services& services, const Request& request) {
  uint64_t limit = request.query_number("limit", 100, kMaxListed);
  uint64_t last = services.audit->log().head().sequence;
  uint64_t after = request.query_value("after").empty()
                       ? (last > limit ? last - limit : 0)
                       : request.query_number("after", 0, INT64_MAX);
  json list = json::array();
  for (const catalog::AuditRow& row :
       services.catalog.audit(after + 1, static_cast<uint32_t>(limit)))
    list.push_back(entry_json(row));
  return json_response({{"entries", list}, {"last", last}});
}

// One entry a line, byte for byte as it was hashed, so that whoever has the export can check the chain.
Response export_entries(Services& services, const Request&) {
  constexpr uint32_t kRowsAtOnce = 500;
  Response response;
  response.content_type = "application/x-ndjson";
  response.stream = [&services, next = uint64_t{0}]() mutable {
    std::string lines;
    for (const catalog::AuditRow& row : services.catalog.audit(next, kRowsAtOnce)) {
      lines += fmt::format("{{\"entry\":{},\"hash\":\"{}\"}}\n", row.body, base::to_hex(row.hash));
      next = row.sequence + 1;
    }
    return lines;
  };
  return response;
}

Response verify_entries(Services& services, const Request&) {
  audit::ChainCheck check = services.audit->verify();
  return json_response(
      {{"verification",
        {{"good", check.good()},
         {"entry_count", check.entry_count},
         {"anchor_count", check.memory_count - 1},  // one of them is the daemon's own
         {"first_wrong", check.first_wrong == 0 ? json(nullptr) : json(check.first_wrong)},
         {"problem", text_or_null(check.problem)}}}});
}

Response anchor_entries(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  audit::AuditService::Anchored anchored = services.audit->anchor();
  return json_response({{"tenants", anchored.tenants}, {"problems", anchored.problems}});
}

}  // namespace

void add_audit_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/audit", Privilege::audit_view, Resource::appliance, list_entries},
                 {"GET", "/api/v1/audit/export", Privilege::audit_view, Resource::appliance,
                  export_entries},
                 {"POST", "/api/v1/audit/verify", Privilege::audit_view, Resource::appliance,
                  verify_entries},
                 {"POST", "/api/v1/audit/anchor", Privilege::audit_view, Resource::appliance,
                  anchor_entries},
             });
}

}  // namespace appliance::api
