// Policies: what is synced, kept and tested, and when.
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

json policy_json(Services& services, const access::TenantName& tenant, const std::string& name) {
  return base::parse_json(policy::policy_to_json(services.policies->text(tenant, name)),
                          "the policy");
}

Response list_policies(Services& services, const Request& request) {
  json list = json::array();
  bool has_default = false;
  for (const auto& [name, body] : services.catalog.policies(request.tenant())) {
    has_default = has_default || name == policy::kDefaultPolicy;
    list.push_back(policy_json(services, request.tenant(), name));
  }
  if (!has_default) {
    list.insert(list.begin(),
                policy_json(services, request.tenant(), std::string(policy::kDefaultPolicy)));
  }
  return json_response({{"policies", list}});
}

Response show_policy(Services& services, const Request& request) {
  return json_response(
      {{"policy", policy_json(services, request.tenant(), request.path_value("name"))}});
}

// The given fields replace those of the policy, or the defaults if it is new.
Response set_policy(Services& services, const Request& request) {
  const access::TenantName tenant = request.tenant();
  const std::string& name = request.path_value("name");
  base::check_name(name, "policy's name");
  json given = base::parse_json(request.body, "the body");
  if (!given.is_object())
    throw base::Error(base::ErrorCode::invalid_argument, "the body must be a JSON object");
  policy::PolicyText former;
  former.name = name;
  try {
    former = services.policies->text(tenant, name);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::not_found) throw;
  }
  json merged = base::parse_json(policy::policy_to_json(former), "the policy");
  for (const auto& [field, value] : given.items()) {
    if (field == "name" || !merged.contains(field)) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        "a policy has no field '" + field.substr(0, 80) + "'");
    }
    merged[field] = value;
  }
  policy::PolicyText text = policy::policy_from_json(name, base::dump_text(merged));
  policy::compile(text);
  services.catalog.set_policy(tenant, name, policy::policy_to_json(text));
  return json_response({{"policy", policy_json(services, tenant, name)}});
}

Response delete_policy(Services& services, const Request& request) {
  services.catalog.remove_policy(request.tenant(), request.path_value("name"));
  return json_response(json::object());
}

}  // namespace

void add_policy_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/policies", Privilege::policy_view, Resource::tenant, list_policies},
          {"GET", "/api/v1/policies/{name}", Privilege::policy_view, Resource::policy, show_policy},
          {"PUT", "/api/v1/policies/{name}", Privilege::policy_change, Resource::policy,
           set_policy},
          {"DELETE", "/api/v1/policies/{name}", Privilege::policy_change, Resource::policy,
           delete_policy},
      });
}

}  // namespace appliance::api
