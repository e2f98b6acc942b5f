// Users: who they are, their passwords and their second factors.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/account_rules.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/people/people.h"
#include "appliance/people/totp.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using catalog::User;
using nlohmann::json;

constexpr size_t kMaxNote = 255;  // bytes

json time_or_null(std::optional<uint64_t> time_ms) {
  return time_ms ? json(base::format_time_ms(*time_ms)) : json(nullptr);
}

json user_json(const User& user) {
  return {{"name", user.name},
          {"role", access::user_role_name(user.role)},
          {"tenant", user.tenant ? json(user.tenant->text()) : json(nullptr)},
          {"note", user.note},
          {"disabled", user.disabled},
          {"created", time_or_null(user.created_ms)},
          {"password_set", time_or_null(user.password_ms)},
          {"signed_in", time_or_null(user.signed_in_ms)},
          {"totp", user.has_totp},
          {"recovery_codes", user.recovery_code_count}};
}

json known_user_json(Services& services, const std::string& name) {
  auto user = services.catalog.find_user(name);
  if (!user) throw Error(ErrorCode::not_found, fmt::format("there is no user '{}'", name));
  return user_json(*user);
}

// The path's, if the principal may see it.
User find_user(Services& services, const Request& request) {
  const std::string& name = request.path_value("name");
  auto user = services.catalog.find_user(name);
  bool is_visible =
      user && (is_self(request.principal, *user) ||
               (user->tenant ? request.scope().sees(*user->tenant) : request.scope().is_all()));
  if (!is_visible)
    throw Error(ErrorCode::not_found, fmt::format("there is no user '{}'", name.substr(0, 80)));
  return *user;
}

std::string checked_note(const std::string& note) {
  if (!note.empty()) base::check_name(note.substr(0, kMaxNote + 1), "user's note");
  return note;
}

// The user himself, who proves it by his password, so that a stolen session is not enough; or
// somebody who may change him.
void require_right_over(Services& services, const Request& request, const User& user,
                        const std::optional<std::string>& password) {
  if (!is_self(request.principal, user)) {
    require_may_change(request.principal, user);
    return;
  }
  if (!password)
    throw Error(ErrorCode::invalid_argument, "your present password is needed for this");
  services.people->require_password(user, *password, request.address);
}

Response list_users(Services& services, const Request& request) {
  json list = json::array();
  for (const User& user : services.catalog.users(request.scope())) list.push_back(user_json(user));
  return json_response({{"users", list}});
}

// {"name", "role", "password", "note"?}; ?tenant= for the roles of one tenant.
Response create_user(Services& services, const Request& request) {
  BodyFields body(request.body);
  User user;
  user.name = body.required_text("name");
  user.role = access::user_role_from_name(body.required_text("role"));
  std::string password = body.required_text("password");
  user.note = checked_note(body.text("note").value_or(""));
  body.require_no_more();
  if (access::is_tenants_own(user.role)) {
    user.tenant = request.tenant();
    services.catalog.require_tenant(*user.tenant);
  } else if (!request.query_value("tenant").empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the role {} is for all tenants; for one tenant there are "
                            "tenant-operator and tenant-viewer",
                            access::user_role_name(user.role)));
  }
  require_may_give(request.principal, user.role, user.tenant);
  services.people->add_user(user, password);
  return json_response({{"user", known_user_json(services, user.name)}}, 201);
}

Response show_user(Services& services, const Request& request) {
  return json_response({{"user", user_json(find_user(services, request))}});
}

// {"role"?, "disabled"?, "note"?}: what is not given stays.
Response change_user(Services& services, const Request& request) {
  User user = find_user(services, request);
  require_may_change(request.principal, user);
  BodyFields body(request.body);
  auto role = body.text("role");
  auto note = body.text("note");
  auto disabled = body.optional_flag("disabled");
  body.require_no_more();
  if (role) {
    access::UserRole wanted = access::user_role_from_name(*role);
    if (access::is_tenants_own(wanted) != user.tenant.has_value())
      throw Error(ErrorCode::invalid_argument,
                  "a role of one tenant and a role of all tenants cannot take each other's place; "
                  "make another user");
    require_may_give(request.principal, wanted, user.tenant);
    user.role = wanted;
  }
  if (note) user.note = checked_note(*note);
  if (disabled) user.disabled = *disabled;
  services.catalog.change_user(user);
  return json_response({{"user", known_user_json(services, user.name)}});
}

Response remove_user(Services& services, const Request& request) {
  User user = find_user(services, request);
  require_may_change(request.principal, user);
  services.catalog.remove_user(user.id);
  return json_response({{"removed", true}});
}

// {"password", "old_password"?}: ends all sessions of the user, also the one that asks.
Response set_password(Services& services, const Request& request) {
  User user = find_user(services, request);
  BodyFields body(request.body);
  std::string password = body.required_text("password");
  auto old_password = body.text("old_password");
  body.require_no_more();
  require_right_over(services, request, user, old_password);
  services.people->set_password(user, password);
  return json_response({{"user", known_user_json(services, user.name)}});
}

// {"password"?}: the secret is only in this answer.
Response begin_totp(Services& services, const Request& request) {
  User user = find_user(services, request);
  BodyFields body(request.body);
  auto password = body.text("password");
  body.require_no_more();
  require_right_over(services, request, user, password);
  base::Bytes secret = services.people->begin_totp(user);
  return json_response(
      {{"totp",
        {{"secret", people::base32(secret)},
         {"address",
          people::totp_address(secret, user.name, services.people->options().appliance_name)}}}},
      201);
}

// {"code"}: the recovery codes are only in this answer.
Response confirm_totp(Services& services, const Request& request) {
  User user = find_user(services, request);
  BodyFields body(request.body);
  std::string code = body.required_text("code");
  body.require_no_more();
  if (!is_self(request.principal, user)) require_may_change(request.principal, user);
  return json_response(
      {{"recovery_codes", services.people->confirm_totp(user, code, request.address)}});
}

// {"password"?}: removes second factor and recovery codes, and ends all sessions of the user.
Response remove_totp(Services& services, const Request& request) {
  User user = find_user(services, request);
  BodyFields body(request.body);
  auto password = body.text("password");
  body.require_no_more();
  require_right_over(services, request, user, password);
  services.catalog.save_totp(user.id, std::nullopt);
  return json_response({{"removed", true}});
}

}  // namespace

void add_user_routes(Router& router, Services& services) {
  constexpr const char* kUser = "/api/v1/users/{name}";
  constexpr const char* kTotp = "/api/v1/users/{name}/totp";
  add_routes(router, services,
             {
                 {"GET", "/api/v1/users", Privilege::user_view, Resource::tenant, list_users},
                 {"POST", "/api/v1/users", Privilege::user_change, Resource::tenant, create_user},
                 {"GET", kUser, Privilege::user_view, Resource::user, show_user},
                 {"PUT", kUser, Privilege::user_change, Resource::user, change_user},
                 {"DELETE", kUser, Privilege::user_change, Resource::user, remove_user},
                 {"PUT", "/api/v1/users/{name}/password", Privilege::own_account, Resource::user,
                  set_password},
                 {"POST", kTotp, Privilege::own_account, Resource::user, begin_totp},
                 {"PUT", kTotp, Privilege::own_account, Resource::user, confirm_totp},
                 {"DELETE", kTotp, Privilege::own_account, Resource::user, remove_totp},
             });
}

}  // namespace appliance::api
