// Signing in over HTTP: cookies, other sites' pages, roles, and who may do what with whose account.
#include <fmt/format.h>

#include "base/json_access.h"
#include "tests/appliance/api/routes/two_tenants.h"

namespace appliance::api {
namespace {

using access::UserRole;

class People : public TwoTenants {
 public:
  std::string add(const std::string& name, UserRole role) {
    catalog::User user;
    user.name = name;
    user.role = role;
    people().add_user(user, kPassword);
    return sign_in(name);
  }
  std::string sign_in(const std::string& name) {
    return people().sign_in({name, kPassword, ""}, "192.0.2.1").secret;
  }
  int get(const std::string& cookie, const std::string& path) {
    return with_cookie(cookie, {"GET", "/api/v1" + path, {}, ""}, "").status;
  }
  // As the page does.
  base::HttpResponse send(const std::string& cookie, const std::string& method,
                          const std::string& path, const std::string& body = "") {
    return with_cookie(cookie, {method, "/api/v1" + path, {}, body}, own_origin());
  }
  nlohmann::json last_entry() {
    return base::parse_json(catalog->last_audit().value().body, "the entry");
  }
};

}  // namespace

TEST_CASE("a cookie counts as its session, from the appliance's own page", "[people]") {
  People appliance;
  std::string cookie = appliance.add("anna", UserRole::owner);
  base::HttpResponse me =
      appliance.with_cookie(cookie, {"GET", "/api/v1/sessions/current", {}, ""}, "");
  REQUIRE(me.status == 200);
  auto json = base::parse_json(me.body, "the answer");
  CHECK(json["name"] == "anna");
  CHECK(json["role"] == "owner");
  CHECK(json["privileges"].size() > 40);

  base::HttpRequest change{"POST", "/api/v1/tenants", {}, R"({"name": "charlie"})"};
  for (const char* foreign : {"", "https://evil.example", "null", "http://127.0.0.1"})
    CHECK(appliance.with_cookie(cookie, change, foreign).status == 403);
  CHECK(appliance.with_cookie(cookie, change, "https://127.0.0.1:1").status == 403);
  CHECK(appliance.with_cookie(cookie, change, appliance.own_origin()).status == 201);
  // A WebSocket is guarded, too: browsers send cookies with it for any page.
  base::HttpRequest socket{"GET", "/api/v1/boots/" + appliance.alpha.boot + "/console/ws", {}, ""};
  socket.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  CHECK(appliance.with_cookie(cookie, socket, "https://evil.example").status == 403);

  CHECK(appliance.send(cookie, "DELETE", "/sessions/current").status == 200);
  CHECK(appliance.get(cookie, "/sessions/current") == 401);
  // What needs no credentials still answers a browser with an old cookie.
  CHECK(appliance.get(cookie, "/setup") == 200);
}

TEST_CASE("signing in over HTTP", "[people]") {
  People appliance;
  appliance.add("anna", UserRole::technician);
  auto post = [&](const std::string& body, const std::string& origin = "") {
    base::HttpRequest request{"POST", "/api/v1/sessions", {}, body};
    if (!origin.empty()) request.headers.emplace_back("Origin", origin);
    return appliance.as_stranger(request);
  };
  std::string good = fmt::format(R"({{"user": "anna", "password": "{}"}})", People::kPassword);
  CHECK(post(good).status == 201);
  CHECK(post(good, "https://evil.example").status == 403);
  CHECK(post(good, appliance.own_origin()).status == 201);
  CHECK(post(R"({"user": "anna"})").status == 400);
  CHECK(post(fmt::format(R"({{"token": "{}"}})", appliance.alpha.token_secret)).status == 201);
  CHECK(post(R"({"token": "mt_wrong"})").status == 401);
  int wrong = 0, waiting = 0;
  for (int i = 0; i < 10; ++i) {
    int status = post(R"({"user": "anna", "password": "guess"})").status;
    wrong += status == 401 ? 1 : 0;
    waiting += status == 429 ? 1 : 0;
  }
  CHECK(wrong >= 5);
  CHECK(waiting >= 1);
  auto entry = appliance.last_entry();
  CHECK(entry["who"] == "a stranger");
  CHECK(entry["details"]["user"] == "anna");
  CHECK(entry["status"] == 429);
  CHECK(entry.dump().find("guess") == std::string::npos);  // no password, also no wrong one
}

TEST_CASE("nobody gives or takes more than he has", "[people]") {
  People appliance;
  std::string owner = appliance.add("olga", UserRole::owner),
              administrator = appliance.add("adam", UserRole::administrator),
              technician = appliance.add("theo", UserRole::technician);
  auto create = [&](const std::string& by, const char* name, const char* role, const char* tenant) {
    return appliance
        .send(by, "POST", std::string("/users") + tenant,
              fmt::format(R"({{"name": "{}", "role": "{}", "password": "{}"}})", name, role,
                          People::kPassword))
        .status;
  };
  CHECK(create(owner, "anna", "owner", "") == 201);
  CHECK(create(administrator, "b", "owner", "") == 403);
  CHECK(create(administrator, "b", "administrator", "") == 201);
  CHECK(create(administrator, "c", "tenant-viewer", "?tenant=alpha") == 201);
  CHECK(create(administrator, "d", "technician", "?tenant=alpha") == 400);
  CHECK(create(administrator, "d", "king", "") == 400);
  CHECK(create(administrator, "c", "auditor", "") == 409);
  CHECK(create(technician, "e", "tenant-viewer", "?tenant=alpha") == 403);

  CHECK(appliance.send(administrator, "PUT", "/users/olga", R"({"disabled": true})").status == 403);
  CHECK(appliance.send(administrator, "PUT", "/users/adam", R"({"role": "owner"})").status == 403);
  CHECK(appliance
            .send(administrator, "PUT", "/users/olga/password", R"({"password": "taken over now"})")
            .status == 403);
  CHECK(appliance.send(administrator, "DELETE", "/users/olga/totp").status == 403);
  CHECK(appliance.send(administrator, "DELETE", "/users/olga").status == 403);
  CHECK(
      appliance.send(technician, "PUT", "/users/adam/password", R"({"password": "taken over now"})")
          .status == 403);
  CHECK(appliance.send(administrator, "GET", "/setup/code").status == 403);
  // Tokens are worth what their maker is, also later.
  auto token = [&](const std::string& by, const char* role) {
    return appliance.send(by, "POST", "/tokens",
                          fmt::format(R"({{"kind": "operator", "role": "{}"}})", role));
  };
  CHECK(token(technician, "administrator").status == 403);
  CHECK(token(administrator, "owner").status == 403);
  base::HttpResponse made = token(administrator, "administrator");
  REQUIRE(made.status == 201);
  std::string secret = base::parse_json(made.body, "the answer")["token"]["token"];
  base::HttpRequest remove{
      "DELETE", "/api/v1/points/" + appliance.alpha.point + "?tenant=alpha", {}, ""};
  CHECK(appliance.send(owner, "PUT", "/users/adam", R"({"role": "auditor"})").status == 200);
  CHECK(appliance.with_token(secret, remove).status == 403);
  CHECK(appliance.send(owner, "PUT", "/users/adam", R"({"disabled": true})").status == 200);
  CHECK(appliance.with_token(secret, remove).status == 401);
}

TEST_CASE("one's own password needs the present one", "[people]") {
  People appliance;
  std::string cookie = appliance.add("anna", UserRole::tenant_viewer);
  CHECK(appliance.send(cookie, "PUT", "/users/anna/password", R"({"password": "a new long word"})")
            .status == 400);
  CHECK(appliance
            .send(cookie, "PUT", "/users/anna/password",
                  R"({"password": "a new long word", "old_password": "wrong"})")
            .status == 401);
  CHECK(appliance.send(cookie, "POST", "/users/anna/totp").status == 400);
  CHECK(appliance
            .send(cookie, "PUT", "/users/anna/password",
                  fmt::format(R"({{"password": "a new long word", "old_password": "{}"}})",
                              People::kPassword))
            .status == 200);
  CHECK(appliance.get(cookie, "/sessions/current") == 401);  // all sessions ended
}

TEST_CASE("sessions are listed and ended by those who may", "[people]") {
  People appliance;
  std::string administrator = appliance.add("adam", UserRole::administrator),
              owner = appliance.add("olga", UserRole::owner),
              technician = appliance.add("theo", UserRole::technician);
  auto sessions = [&](const std::string& cookie) {
    return base::parse_json(appliance.send(cookie, "GET", "/sessions").body,
                            "the answer")["sessions"];
  };
  CHECK(sessions(technician).size() == 1);
  CHECK(sessions(administrator).size() == 5);  // with the viewers of the two tenants
  std::string id_of_owner, id_of_technician;
  for (const auto& each : sessions(administrator)) {
    if (each["name"] == "olga") id_of_owner = each["id"];
    if (each["name"] == "theo") id_of_technician = each["id"];
  }
  CHECK(appliance.send(technician, "DELETE", "/sessions/" + id_of_owner).status == 404);
  CHECK(appliance.send(administrator, "DELETE", "/sessions/" + id_of_owner).status == 403);
  CHECK(appliance.send(administrator, "DELETE", "/sessions/" + id_of_technician).status == 200);
  CHECK(appliance.get(technician, "/sessions/current") == 401);
  CHECK(appliance.get(owner, "/sessions/current") == 200);
}

TEST_CASE("a change is noted before it is made, and what is refused is noted", "[audit]") {
  People appliance;
  std::string cookie = appliance.add("theo", UserRole::technician);
  CHECK(appliance.send(cookie, "DELETE", "/points/" + appliance.alpha.point + "?tenant=alpha")
            .status == 403);
  auto entry = appliance.last_entry();
  CHECK(entry["who"] == "user theo");
  CHECK(entry["outcome"] == "refused");
  CHECK(entry["from"] == "127.0.0.1");
  CHECK(entry["what"] == "DELETE /api/v1/points/" + appliance.alpha.point);
  uint64_t before = appliance.catalog->last_audit()->sequence;
  CHECK(appliance.get(cookie, "/machines") == 200);
  CHECK(appliance.catalog->last_audit()->sequence == before);  // reading is not noted
  appliance.as_root({"POST",
                     "/api/v1/machines/alpha-web/volume-keys?tenant=alpha",
                     {},
                     R"({"name": "root", "secret": "open sesame"})"});
  auto request = base::parse_json(appliance.catalog->audit(before + 1, 1).at(0).body, "the entry");
  CHECK(request["who"] == "root");
  CHECK(request["from"] == "this machine");
  CHECK(request["tenant"] == "alpha");
  CHECK(request["details"]["name"] == "root");
  CHECK(request["details"]["not_told"][0] == "secret");
  CHECK(appliance.last_entry()["of"] == before + 1);
  for (const auto& row : appliance.catalog->audit(1, 1000))
    CHECK(row.body.find("open sesame") == std::string::npos);
}

}  // namespace appliance::api
