// Tenants, and which store belongs to which.
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "appliance/points/point_deletion.h"
#include "appliance/points/point_marking.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxQuota = 1ull << 60;  // bytes

json lock_json(const points::TenantLock& lock) {
  return {{"days", lock.days},
          {"next_days", lock.next_days ? json(*lock.next_days) : json(nullptr)},
          {"next_in_ms", lock.next_days ? json(lock.until_next_ms) : json(nullptr)}};
}

json tenant_json(Services& services, const catalog::Tenant& tenant) {
  auto quota = services.catalog.tenant_quota(tenant.name);
  points::TenantLocks* locks = services.deletion->locks();
  points::TenantLock lock = locks == nullptr ? points::TenantLock{} : locks->lock_of(tenant.name);
  return {{"name", tenant.name.text()},
          {"created", base::format_time_ms(tenant.created_ms)},
          {"quota", quota ? json(*quota) : json(nullptr)},
          {"lock", lock_json(lock)},
          {"store", store_standing_json(services.stores.standing(tenant.name))}};
}

json tenant_json(Services& services, const access::TenantName& name) {
  for (const catalog::Tenant& tenant : services.catalog.tenants(name)) {
    if (tenant.name == name) return tenant_json(services, tenant);
  }
  throw base::Error(base::ErrorCode::not_found, "there is no tenant '" + name.text() + "'");
}

Response list_tenants(Services& services, const Request& request) {
  json list = json::array(), problems = json::array();
  for (const catalog::Tenant& tenant : services.catalog.tenants(request.scope())) {
    list.push_back(tenant_json(services, tenant));
    for (json& each : problems_json(services, tenant.name, Asked::store))
      problems.push_back(std::move(each));
  }
  return json_response({{"tenants", list}, {"problems", problems}});
}

// {"name": NAME, "encrypted": bool}
Response create_tenant(Services& services, const Request& request) {
  BodyFields body(request.body);
  access::TenantName name(body.required_text("name"));
  bool encrypted = body.flag("encrypted");
  body.require_no_more();
  services.stores.create_tenant(name, encrypted);
  json tenant = tenant_json(services, name);
  tenant["key_file"] = encrypted ? json(services.stores.key_path_of(name)) : json(nullptr);
  return json_response({{"tenant", tenant}}, 201);
}

// {"quota": bytes, or null for no limit}
Response set_tenant(Services& services, const Request& request) {
  access::TenantName name(request.path_value("name"));
  BodyFields body(request.body);
  auto quota = body.natural("quota", 1, kMaxQuota);
  body.require_no_more();
  services.catalog.set_tenant_quota(name, quota);
  return json_response({{"tenant", tenant_json(services, name)}});
}

// {"days": DAYS}
Response lock_tenant(Services& services, const Request& request) {
  access::TenantName name(request.path_value("name"));
  BodyFields body(request.body);
  auto days = body.natural("days", 0, points::TenantLocks::kMaxDays);
  body.require_no_more();
  if (!days)
    throw base::Error(base::ErrorCode::invalid_argument, "'days' is missing; 0 lifts the lock");
  services.deletion->locks()->set(name, *days);
  return json_response({{"tenant", tenant_json(services, name)}});
}

// {"directory": DIR, "key": TEXT, "confirm": bool}
Response adopt_store(Services& services, const Request& request) {
  BodyFields body(request.body);
  stores::AdoptOrder order;
  order.tenant = access::TenantName(request.path_value("name"));
  order.directory = body.text("directory").value_or("");
  order.key = body.text("key").value_or("");
  order.is_confirmed = body.flag("confirm");
  body.require_no_more();
  if (!order.directory.empty() && order.directory.front() != '/')
    throw base::Error(base::ErrorCode::invalid_argument, "directory must be an absolute path");
  for (const boot::InstantVm& vm : services.boots.timeline_holders(order.tenant)) {
    if (vm.store.location != services.stores.directory_of(order.tenant)) continue;
    throw base::Error(base::ErrorCode::busy,
                      "the instant VM " + vm.id.hex() + " of " + vm.machine_name +
                          " runs from the tenant's present store; stop it first");
  }
  stores::Adoption adoption = services.stores.adopt(order);
  points::PointMarking::Found found;
  if (adoption.is_done) found = services.marking->take_over(order.tenant);
  return json_response(
      {{"adoption",
        {{"done", adoption.is_done},
         {"directory", adoption.directory},
         {"id", adoption.id.hex()},
         {"known_id", adoption.known_id ? json(adoption.known_id->hex()) : json(nullptr)},
         {"found_count", adoption.found_count},
         {"known_count", adoption.known_count},
         {"lost_count", adoption.lost_count},
         {"hold_count", found.holds},
         {"tested_elsewhere_count", found.tested_elsewhere},
         {"unreadable_mark_count", found.unreadable}}}});
}

}  // namespace

void add_tenant_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/tenants", Privilege::tenant_view, Resource::tenant, list_tenants},
          {"POST", "/api/v1/tenants", Privilege::tenant_create, Resource::appliance, create_tenant},
          {"PUT", "/api/v1/tenants/{name}", Privilege::tenant_change, Resource::appliance,
           set_tenant},
          {"PUT", "/api/v1/tenants/{name}/lock", Privilege::tenant_change, Resource::appliance,
           lock_tenant},
          {"POST", "/api/v1/tenants/{name}/adopt", Privilege::tenant_adopt, Resource::appliance,
           adopt_store},
      });
}

}  // namespace appliance::api
