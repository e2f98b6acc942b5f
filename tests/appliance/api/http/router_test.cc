#include "appliance/api/http/router.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "base/error.h"

namespace appliance::api {
namespace {

Router make_router() {
  Router router;
  auto echo = [](const Request& request) {
    return json_response({{"path", request.path_values}, {"query", request.query}});
  };
  router.add({"GET", "/api/v1/machines", Privilege::machine_view, Resource::tenant, echo});
  router.add({"GET", "/api/v1/machines/{name}", Privilege::machine_view, Resource::tenant, echo});
  router.add({"POST", "/api/v1/enroll", Privilege::none, Resource::nothing, echo});
  router.add({"GET", "/api/v1/orders", Privilege::host_work, Resource::host_itself, echo});
  router.add({"GET", "/api/v1/broken", Privilege::none, Resource::nothing,
              [](const Request&) -> Response { throw std::runtime_error("a secret detail"); }});
  return router;
}

Principal principal_of(Role role, access::TenantScope scope = access::TenantScope::all()) {
  access::Privileges privileges;
  if (role == Role::agent) privileges = {Privilege::host_work};
  if (role == Role::admin) privileges = access::privileges_of(access::UserRole::owner);
  return {role, privileges, std::nullopt, std::move(scope), "somebody"};
}

Response ask(const std::string& method, const std::string& target, Role role = Role::admin) {
  Request request;
  request.method = method;
  request.target = target;
  request.principal = principal_of(role);
  return make_router().handle(std::move(request));
}

}  // namespace

TEST_CASE("words of a path and of the query are decoded after splitting") {
  Response response = ask("GET", "/api/v1/machines/a%2Fb%20%C3%A9?q=1+2&r=%26");
  REQUIRE(response.status == 200);
  nlohmann::json body = nlohmann::json::parse(response.body);
  CHECK(body["path"]["name"] == "a/b é");
  CHECK(body["query"]["q"] == "1 2");
  CHECK(body["query"]["r"] == "&");
}

TEST_CASE("a last word may take the rest of the path") {
  Router router;
  router.add(
      {"GET", "/files/{path...}", Privilege::none, Resource::nothing, [](const Request& request) {
         return json_response({{"path", request.path_values}});
       }});
  auto get = [&](const std::string& target) {
    Request request;
    request.method = "GET";
    request.target = target;
    return router.handle(std::move(request));
  };
  CHECK(nlohmann::json::parse(get("/files/a/b/c%2Fd").body)["path"]["path"] == "a/b/c/d");
  CHECK(nlohmann::json::parse(get("/files/a").body)["path"]["path"] == "a");
  CHECK(get("/files").status == 404);
  CHECK(get("/files/").status == 404);
}

TEST_CASE("requests that fit no route are answered with a sentence") {
  CHECK(ask("GET", "/api/v1/nothing").status == 404);
  CHECK(ask("GET", "/api/v1/machines/").status == 404);
  CHECK(ask("GET", "/api/v1/machines/a/b").status == 404);
  Response response = ask("DELETE", "/api/v1/machines/a");
  CHECK(response.status == 405);
  CHECK(response.headers["Allow"] == "GET");
  for (const char* bad :
       {"/api/v1/machines/%", "/api/v1/machines/%4", "/api/v1/machines/%zz", "/api/v1/machines/%00",
        "/api/v1/machines/%ff", "/api/v1/machines?a=%f"}) {
    INFO(bad);
    CHECK(ask("GET", bad).status == 400);
  }
  CHECK(ask("GET", "/api/v1/machines?" + std::string(kMaxTargetSize, 'a')).status == 400);
  CHECK(ask("GET", "").status == 404);
}

TEST_CASE("a route lets in only whom it is for") {
  CHECK(ask("GET", "/api/v1/machines", Role::anonymous).status == 401);
  CHECK(ask("GET", "/api/v1/machines", Role::anonymous).headers["WWW-Authenticate"] == "Bearer");
  CHECK(ask("GET", "/api/v1/machines", Role::agent).status == 403);
  CHECK(ask("GET", "/api/v1/orders", Role::admin).status == 403);
  CHECK(ask("GET", "/api/v1/orders", Role::agent).status == 200);
  CHECK(ask("POST", "/api/v1/enroll", Role::anonymous).status == 200);
}

TEST_CASE("an unexpected failure tells the client nothing about its cause") {
  Response response = ask("GET", "/api/v1/broken");
  CHECK(response.status == 500);
  CHECK(response.body.find("secret") == std::string::npos);
}

TEST_CASE("the fields of a body are checked one by one") {
  auto code = [](auto call) {
    try {
      call();
    } catch (const base::Error& error) {
      return error.code();
    }
    return base::ErrorCode::io;
  };
  CHECK(code([] { BodyFields("[]"); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"a\":"); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields(std::string(100'000, '[')); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{}").required_text("point"); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"n\":-1}").natural("n", 0, 9); }) ==
        base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"n\":1e99}").natural("n", 0, 9); }) ==
        base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"f\":1}").flag("f"); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"l\":[1]}").texts("l", 4); }) == base::ErrorCode::invalid_argument);
  CHECK(code([] { BodyFields("{\"typo\":1}").require_no_more(); }) ==
        base::ErrorCode::invalid_argument);
  BodyFields body(R"({"point":"x","n":3,"f":true,"l":["a"],"gone":null})");
  CHECK(body.required_text("point") == "x");
  CHECK(body.natural("n", 0, 9) == 3u);
  CHECK(body.flag("f"));
  CHECK(body.texts("l", 4) == std::vector<std::string>{"a"});
  CHECK_FALSE(body.text("gone"));
  body.require_no_more();
}

TEST_CASE("a token for one tenant speaks of that tenant alone") {
  Router router;
  router.add(
      {"GET", "/things", Privilege::machine_view, Resource::tenant, [](const Request& request) {
         return json_response({{"tenant", request.tenant().text()}});
       }});
  router.add(
      {"POST", "/tenants", Privilege::tenant_create, Resource::appliance, [](const Request&) {
         return json_response({{"done", true}});
       }});
  auto send = [&](const char* method, const char* target, const access::TenantScope& scope) {
    Request request;
    request.method = method;
    request.target = target;
    request.principal = principal_of(Role::admin, scope);
    return router.handle(std::move(request));
  };
  const access::TenantScope a = access::TenantName("a"), all = access::TenantScope::all();
  CHECK_THAT(send("GET", "/things", a).body, Catch::Contains("\"a\""));
  CHECK(send("GET", "/things?tenant=a", a).status == 200);
  CHECK(send("GET", "/things?tenant=b", a).status == 403);
  CHECK(send("GET", "/things?tenant=default", a).status == 403);
  CHECK(send("POST", "/tenants", a).status == 403);
  CHECK(send("POST", "/tenants", all).status == 200);
  CHECK(send("GET", "/things?tenant=b", all).status == 200);
  CHECK(a.sees(access::TenantName("a")));
  CHECK_FALSE(a.sees(access::TenantName("b")));
  CHECK_FALSE(access::TenantScope().sees(access::TenantName()));
}

TEST_CASE("who lacks a privilege is told which one", "[access]") {
  Router router;
  router.add({"GET", "/x", Privilege::vm_start, Resource::tenant, [](const Request&) {
                return json_response({{"done", true}});
              }});
  Request request;
  request.method = "GET";
  request.target = "/x";
  request.principal = principal_of(Role::admin);
  request.principal.privileges.remove(Privilege::vm_start);
  Response response = router.handle(request);
  CHECK(response.status == 403);
  CHECK_THAT(response.body, Catch::Contains("vm-start"));
}

TEST_CASE("a body that is nested without end is refused") {
  std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  CHECK_THROWS_WITH(BodyFields("{\"x\":" + deep + "}"), Catch::Contains("nested"));
}

}  // namespace appliance::api
