// Signing in and out, who is signed in, and the first start.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/authenticator.h"
#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/account_rules.h"
#include "appliance/api/routes/routes.h"
#include "appliance/people/people.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr const char* kCookieWords = "Path=/; HttpOnly; Secure; SameSite=Strict";

// "anna" for the user anna: people need not be told that they are users.
std::string bare_name(const std::string& name) {
  constexpr std::string_view kUser = "user ";
  return name.starts_with(kUser) ? name.substr(kUser.size()) : name;
}

json tenant_of(const access::TenantScope& scope) {
  auto only = scope.only();
  return only ? json(only->text()) : json(nullptr);
}

json session_json(const people::SignedIn& who) {
  return {{"id", who.session.id.hex()},
          {"kind", who.session.token ? "token" : "user"},
          {"name", bare_name(who.name)},
          {"role", access::user_role_name(who.role)},
          {"tenant", tenant_of(who.scope)},
          {"address", who.session.address.empty() ? json(nullptr) : json(who.session.address)},
          {"created", base::format_time_ms(who.session.created_ms)},
          {"used", base::format_time_ms(who.session.used_ms)},
          {"expires", base::format_time_ms(who.ends_ms)}};
}

// {"user", "password", "code"?} or {"token"}
Response sign_in(Services& services, const Request& request) {
  BodyFields body(request.body);
  auto token = body.text("token");
  people::Credentials given;
  if (!token) {
    given.user = body.required_text("user");
    given.password = body.required_text("password");
    given.code = body.text("code").value_or("");
  }
  body.require_no_more();
  people::NewSession opened = token ? services.people->sign_in_with_token(*token, request.address)
                                    : services.people->sign_in(given, request.address);
  // One browser has one session.
  if (request.principal.session) services.catalog.end_session(*request.principal.session);
  Response response = json_response(session_json(opened.who), 201);
  response.headers["Set-Cookie"] =
      fmt::format("{}={}; {}", kSessionCookie, opened.secret, kCookieWords);
  return response;
}

// Who asks, however he proves it.
Response show_current(Services& services, const Request& request) {
  const Principal& principal = request.principal;
  json answer{{"id", nullptr},
              {"kind", principal.name == "root" ? "root" : "token"},
              {"name", bare_name(principal.name)},
              {"role", access::user_role_name(principal.user_role)},
              {"tenant", tenant_of(principal.scope)},
              {"address", nullptr},
              {"created", nullptr},
              {"used", nullptr},
              {"expires", nullptr}};
  if (principal.session) {
    for (const people::SignedIn& who : services.people->sessions()) {
      if (who.session.id == *principal.session) answer = session_json(who);
    }
  }
  answer["privileges"] = principal.privileges.names();
  return json_response(answer);
}

Response sign_out(Services& services, const Request& request) {
  if (!request.principal.session)
    throw Error(ErrorCode::invalid_argument,
                "this is no session: a token counts until it is revoked, and root always does");
  services.catalog.end_session(*request.principal.session);
  Response response = json_response({{"ended", true}});
  response.headers["Set-Cookie"] = fmt::format("{}=; Max-Age=0; {}", kSessionCookie, kCookieWords);
  return response;
}

// All sessions of one's own; all that are in the scope for who may see users.
bool is_visible(const Request& request, const people::SignedIn& who) {
  if (who.name == request.principal.name) return true;
  if (!request.principal.privileges.has(Privilege::user_view)) return false;
  auto only = who.scope.only();
  return only ? request.scope().sees(*only) : request.scope().is_all();
}

Response list_sessions(Services& services, const Request& request) {
  json list = json::array();
  for (const people::SignedIn& who : services.people->sessions()) {
    if (!is_visible(request, who)) continue;
    json each = session_json(who);
    each["current"] = request.principal.session == who.session.id;
    list.push_back(std::move(each));
  }
  return json_response({{"sessions", list}});
}

// One's own, or that of somebody whom one may change.
Response end_session(Services& services, const Request& request) {
  const std::string& id = request.path_value("id");
  for (const people::SignedIn& who : services.people->sessions()) {
    if (who.session.id.hex() != id || !is_visible(request, who)) continue;
    bool is_own = who.name == request.principal.name;
    if (!is_own) {
      require_privilege(request.principal, Privilege::user_change);
      require_may_give(request.principal, who.role, who.scope.only());
    }
    services.catalog.end_session(who.session.id);
    return json_response({{"ended", true}});
  }
  throw Error(ErrorCode::not_found,
              fmt::format("there is no session '{}'; it may have ended", id.substr(0, 40)));
}

Response show_setup(Services& services, const Request&) {
  return json_response({{"first_start", services.people->is_first_start()}});
}

// {"code", "user", "password"}
Response set_up(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string code = body.required_text("code");
  std::string user = body.required_text("user");
  std::string password = body.required_text("password");
  body.require_no_more();
  catalog::User owner = services.people->set_up(code, user, password, request.address);
  return json_response({{"name", owner.name}, {"role", access::user_role_name(owner.role)}}, 201);
}

Response show_setup_code(Services& services, const Request&) {
  auto code = services.people->setup_code();
  if (!code)
    throw Error(ErrorCode::not_found,
                "there is no code: this appliance has users already; see 'muletto user list'");
  return json_response({{"code", *code}, {"address", services.public_address()}});
}

}  // namespace

void add_session_routes(Router& router, Services& services) {
  constexpr const char* kCurrent = "/api/v1/sessions/current";
  add_routes(
      router, services,
      {
          {"POST", "/api/v1/sessions", Privilege::none, Resource::nothing, sign_in},
          {"GET", "/api/v1/sessions", Privilege::own_account, Resource::nothing, list_sessions},
          {"GET", kCurrent, Privilege::own_account, Resource::nothing, show_current},
          {"DELETE", kCurrent, Privilege::own_account, Resource::nothing, sign_out},
          {"DELETE", "/api/v1/sessions/{id}", Privilege::own_account, Resource::session,
           end_session},
          {"GET", "/api/v1/setup", Privilege::none, Resource::nothing, show_setup},
          {"POST", "/api/v1/setup", Privilege::none, Resource::nothing, set_up},
          {"GET", "/api/v1/setup/code", Privilege::owner_change, Resource::appliance,
           show_setup_code},
      });
}

}  // namespace appliance::api
