// Every route, asked by everybody who may not: strangers, agents, revoked agents, and an operator of
// one tenant with another tenant's ids. A route that is not in the table below fails the test.
#include <fmt/format.h>

#include <map>
#include <set>

#include "tests/appliance/api/routes/two_tenants.h"

namespace appliance::api {
namespace {

enum class Kind {
  open,     // needs no credentials
  of_host,  // for hosts alone
  whole,    // for operators of the whole appliance
  list,     // answers everybody with what he sees
  own,      // works on the caller's tenant without naming anything of it
  foreign,  // names something, which is not found in another tenant
  live,     // an answer without an end, asked for from a place that is lost; event_routes_test.cc
};

struct Expected {
  Privilege needs;
  Kind kind;
  std::string id{};  // what the words of the pattern stand for: bravo's
  std::string body{};
  std::string query{};
};
using Table = std::map<std::string, Expected>;

void add_machines(Table& table, const TenantThings& b) {
  using P = Privilege;
  std::string machine = "/api/v1/machines/{name}";
  table["GET /api/v1/overview"] = {P::machine_view, Kind::list};
  table["GET /api/v1/machines"] = {P::machine_view, Kind::list};
  table["GET " + machine] = {P::machine_view, Kind::foreign, b.machine};
  table["DELETE " + machine] = {P::machine_forget, Kind::foreign, b.machine};
  table["GET " + machine + "/traces"] = {P::machine_view, Kind::foreign, b.machine};
  table["PUT " + machine + "/host"] = {P::machine_assign, Kind::foreign, b.machine,
                                       R"({"host": null})"};
  table["PUT " + machine + "/protection"] = {P::machine_protect, Kind::foreign, b.machine,
                                             R"({"wanted": false})"};
  table["POST " + machine + "/sync"] = {P::machine_sync, Kind::foreign, b.machine};
  table["GET " + machine + "/checks"] = {P::verification_view, Kind::foreign, b.machine};
  table["PUT " + machine + "/checks"] = {P::verification_change, Kind::foreign, b.machine,
                                         R"({"checks": ["tcp:22"]})"};
  table["POST " + machine + "/checks/relearn"] = {P::verification_change, Kind::foreign, b.machine};
  table["GET " + machine + "/volume-keys"] = {P::verification_view, Kind::foreign, b.machine};
  table["POST " + machine + "/volume-keys"] = {P::verification_change, Kind::foreign, b.machine,
                                               R"({"name": "root", "secret": "x"})"};
  table["DELETE " + machine + "/volume-keys/{key}"] = {P::verification_change, Kind::foreign,
                                                       b.machine};
  table["GET " + machine + "/rules"] = {P::verification_view, Kind::foreign, b.machine};
  table["DELETE " + machine + "/rules/{rule}"] = {P::verification_change, Kind::foreign, b.machine};
  table["POST " + machine + "/bisect"] = {P::verification_start, Kind::foreign, b.machine};
  std::string point = "/api/v1/points/{point}";
  table["GET /api/v1/points"] = {P::point_view, Kind::list};
  table["GET " + point] = {P::point_view, Kind::foreign, b.point};
  table["DELETE " + point] = {P::point_delete, Kind::foreign, b.point};
  table["PUT " + point + "/hold"] = {P::point_hold, Kind::foreign, b.point};
  table["DELETE " + point + "/hold"] = {P::point_hold, Kind::foreign, b.point};
  // A search and a download begin with a look, which is refused for another tenant's point.
  table["GET " + point + "/files"] = {P::file_view, Kind::foreign, b.point};
  for (const char* what : {"/details", "/search", "/changes"})
    table["GET " + point + "/files" + what] = {P::file_view, Kind::foreign, b.point, "",
                                               "path=/etc&name=x&since=" + b.point};
  for (const char* what : {"/content", "/archive"})
    table["GET " + point + "/files" + what] = {P::file_download, Kind::foreign, b.point, "",
                                               "path=/etc"};
  table["POST " + point + "/files/looks"] = {P::file_view, Kind::foreign, b.point,
                                             R"({"secrets": ["x"]})"};
  table["DELETE " + point + "/files/looks/{look}"] = {P::file_view, Kind::foreign, b.point};
  std::string disk = point + "/disks/{disk}";
  table["GET " + disk + "/raw"] = {P::point_restore, Kind::foreign, b.point};
  table["GET " + disk + "/extents"] = {P::point_restore, Kind::foreign, b.point};
  table["GET " + disk + "/checksum"] = {P::point_restore, Kind::foreign, b.point};
  table["GET /api/v1/rescues"] = {P::point_restore, Kind::list};
  table["POST /api/v1/rescues"] = {P::point_restore, Kind::foreign, "",
                                   fmt::format(R"({{"machines": ["{}"]}})", b.machine)};
  table["DELETE /api/v1/rescues/{id}"] = {P::point_restore, Kind::foreign, b.rescue};
  table["POST /api/v1/rescue-sessions"] = {P::none, Kind::open, "", "{}"};
  table["GET /api/v1/fetch"] = {P::point_fetch, Kind::own};
  table["GET /api/v1/fetch/points"] = {P::point_fetch, Kind::list};
  table["GET /api/v1/fetch/points/{point}"] = {P::point_fetch, Kind::foreign, b.point};
  table["GET /api/v1/restores"] = {P::job_view, Kind::list};
  table["POST /api/v1/restores"] = {P::point_restore, Kind::foreign, "",
                                    fmt::format(R"({{"point": "{}", "folder": "out"}})", b.point)};
  table["GET /api/v1/restores/{id}"] = {P::job_view, Kind::foreign, b.restore};
  table["GET /api/v1/retention"] = {P::policy_view, Kind::list};
  table["POST /api/v1/retention/apply"] = {P::point_delete, Kind::foreign, "",
                                           fmt::format(R"({{"machine": "{}"}})", b.machine)};
}

void add_boots(Table& table, const TenantThings& b) {
  using P = Privilege;
  std::string of_point = fmt::format(R"({{"point": "{}"}})", b.point);
  std::string boot = "/api/v1/boots/{boot}";
  table["GET /api/v1/boots"] = {P::vm_view, Kind::list};
  table["POST /api/v1/boots"] = {P::vm_start, Kind::foreign, "", of_point};
  table["POST /api/v1/boots/check"] = {P::vm_start, Kind::foreign, "", of_point};
  table["POST /api/v1/boot-orders"] = {P::vm_start, Kind::foreign, "",
                                       fmt::format(R"({{"groups": [["{}"]]}})", b.point)};
  table["GET " + boot] = {P::vm_view, Kind::foreign, b.boot};
  table["POST " + boot + "/stop"] = {P::vm_stop, Kind::foreign, b.boot,
                                     R"({"keep_overlay": true})"};
  table["PUT " + boot + "/settings"] = {P::vm_change, Kind::foreign, b.boot,
                                        R"({"restart": "automatic"})"};
  table["POST " + boot + "/power"] = {P::vm_power, Kind::foreign, b.boot, R"({"action": "reset"})"};
  table["POST " + boot + "/wait"] = {P::vm_view, Kind::foreign, b.boot};
  table["POST " + boot + "/pull"] = {P::vm_pull, Kind::foreign, b.boot};
  table["POST " + boot + "/unprepare"] = {P::vm_change, Kind::foreign, b.boot};
  table["GET " + boot + "/screenshot"] = {P::vm_console, Kind::foreign, b.boot};
  table["GET " + boot + "/serial"] = {P::vm_console, Kind::foreign, b.boot};
  table["GET " + boot + "/console"] = {P::vm_console, Kind::foreign, b.boot};
  table["POST " + boot + "/console/ticket"] = {P::vm_console, Kind::foreign, b.boot};
  // Without a privilege, since a ticket may be the proof; without a ticket it is as the others.
  table["GET " + boot + "/console/ws"] = {P::none, Kind::foreign, b.boot};
  table["GET /"] = {P::none, Kind::open};
  table["GET /page/{name}"] = {P::none, Kind::open, "main.js"};
  table["GET /console/{boot}"] = {P::none, Kind::open, b.boot};
  table["GET /assets/{name}"] = {P::none, Kind::open, "console.js"};
  table["GET /novnc/{path...}"] = {P::none, Kind::open, "nothing.js"};
  table["GET /install"] = {P::none, Kind::open};
  table["GET /packages/list"] = {P::none, Kind::open};
  table["GET /packages/{name}"] = {P::none, Kind::open, "none.deb"};
}

void add_failbacks(Table& table, const TenantThings& b) {
  using P = Privilege;
  std::string failback = "/api/v1/failbacks/{failback}";
  table["GET /api/v1/failbacks"] = {P::vm_view, Kind::list};
  table["POST /api/v1/failbacks"] = {
      P::host_restore, Kind::foreign, "",
      fmt::format(R"({{"boot": "{}", "host": "{}", "folder": "/x"}})", b.boot, b.host.name)};
  table["GET " + failback] = {P::vm_view, Kind::foreign, b.failback};
  for (const char* verb : {"finish", "cancel", "pause", "continue", "keep"})
    table["POST " + failback + "/" + verb] = {P::host_restore, Kind::foreign, b.failback};
}

void add_work(Table& table, const TenantThings& b) {
  using P = Privilege;
  table["GET /api/v1/jobs"] = {P::job_view, Kind::list};
  table["GET /api/v1/jobs/{id}"] = {P::job_view, Kind::foreign, b.job};
  table["GET /api/v1/jobs/{id}/log"] = {P::job_view, Kind::foreign, b.job};
  table["POST /api/v1/jobs/{id}/cancel"] = {P::job_cancel, Kind::foreign, b.job};
  table["GET /api/v1/alerts"] = {P::alert_view, Kind::list};
  table["POST /api/v1/alerts/{id}/acknowledge"] = {P::alert_acknowledge, Kind::foreign, b.alert};
  std::string silence = "/api/v1/alerts/{id}/silence";
  table["POST " + silence] = {P::alert_acknowledge, Kind::foreign, b.alert, R"({"for": "1h"})"};
  table["DELETE " + silence] = {P::alert_acknowledge, Kind::foreign, b.alert};
  table["GET /api/v1/alert-kinds"] = {P::alert_view, Kind::list};
  table["POST /api/v1/alert-tests"] = {P::alert_test, Kind::whole};
  std::string channel = "/api/v1/channels/{name}";
  table["GET /api/v1/channels"] = {P::channel_view, Kind::whole};
  table["POST /api/v1/channels"] = {P::channel_change, Kind::whole, "",
                                    R"({"name": "log", "kind": "syslog", "server": "bravo"})"};
  table["GET " + channel] = {P::channel_view, Kind::whole, "log"};
  table["DELETE " + channel] = {P::channel_change, Kind::whole, "log"};
  table["POST " + channel + "/test"] = {P::alert_test, Kind::whole, "log"};
  std::string seen = "/api/v1/verifications/{number}";
  table["GET /api/v1/verifications"] = {P::verification_view, Kind::list};
  table["POST /api/v1/verifications"] = {P::verification_start, Kind::foreign, "",
                                         fmt::format(R"({{"point": "{}"}})", b.point)};
  table["GET " + seen] = {P::verification_view, Kind::foreign, b.verification};
  table["GET " + seen + "/pictures/{picture}"] = {P::verification_view, Kind::foreign,
                                                  b.verification};
  table["GET " + seen + "/explanation"] = {P::verification_view, Kind::foreign, b.verification};
  table["PUT " + seen + "/correction"] = {P::verification_change, Kind::foreign, b.verification,
                                          R"({"verdict": "fail", "reason": "it was down"})"};
  table["DELETE " + seen + "/correction"] = {P::verification_change, Kind::foreign, b.verification};
  table["GET " + seen + "/case"] = {P::verification_view, Kind::foreign, b.verification};
  table["POST /api/v1/reports"] = {P::report_create, Kind::own};
  table["GET /api/v1/reports/{id}"] = {P::report_view, Kind::foreign, b.report};
  std::string policy = "/api/v1/policies/{name}";
  table["GET /api/v1/policies"] = {P::policy_view, Kind::list};
  table["GET " + policy] = {P::policy_view, Kind::foreign, b.policy};
  table["PUT " + policy] = {P::policy_change, Kind::own, b.policy, "{}"};
  table["DELETE " + policy] = {P::policy_change, Kind::own, b.policy};
}

void add_appliance(Table& table, const TenantThings& b) {
  using P = Privilege;
  table["GET /api/v1/status"] = {P::status_view, Kind::list};
  table["GET /api/v1/events"] = {P::status_view, Kind::list};
  table["GET /api/v1/events/stream"] = {P::status_view, Kind::live, "", "", "after=1"};
  table["GET /api/v1/events/ws"] = {P::status_view, Kind::live, "", "", "after=1"};
  table["GET /metrics"] = {P::metrics_view, Kind::list};
  table["GET /api/v1/clock"] = {P::clock_view, Kind::list};
  table["POST /api/v1/clock/accept"] = {P::clock_accept, Kind::whole};
  table["GET /api/v1/store"] = {P::store_view, Kind::list};
  table["POST /api/v1/store/check"] = {P::store_check, Kind::own};
  table["POST /api/v1/store/compact"] = {P::store_compact, Kind::own};
  table["POST /api/v1/store/recompute"] = {P::store_recompute, Kind::own};
  std::string tenant = "/api/v1/tenants/{name}";
  table["GET /api/v1/tenants"] = {P::tenant_view, Kind::list};
  table["POST /api/v1/tenants"] = {P::tenant_create, Kind::whole, "", R"({"name": "charlie"})"};
  table["PUT " + tenant] = {P::tenant_change, Kind::whole, "bravo", R"({"quota": 5})"};
  table["PUT " + tenant + "/lock"] = {P::tenant_change, Kind::whole, "bravo", R"({"days": 7})"};
  table["POST " + tenant + "/adopt"] = {P::tenant_adopt, Kind::whole, "bravo"};
  table["GET /api/v1/tokens"] = {P::token_view, Kind::list};
  table["POST /api/v1/tokens"] = {P::token_create, Kind::own};
  table["DELETE /api/v1/tokens/{id}"] = {P::token_revoke, Kind::foreign, b.token.id.hex()};
  std::string user = "/api/v1/users/{name}";
  table["GET /api/v1/users"] = {P::user_view, Kind::list};
  table["POST /api/v1/users"] = {
      P::user_change, Kind::own, "",
      R"({"name": "zoe", "role": "owner", "password": "twelve letters"})"};
  table["GET " + user] = {P::user_view, Kind::foreign, b.user};
  table["PUT " + user] = {P::user_change, Kind::foreign, b.user, R"({"disabled": true})"};
  table["DELETE " + user] = {P::user_change, Kind::foreign, b.user};
  table["PUT " + user + "/password"] = {P::own_account, Kind::foreign, b.user,
                                        R"({"password": "another long word"})"};
  table["POST " + user + "/totp"] = {P::own_account, Kind::foreign, b.user};
  table["PUT " + user + "/totp"] = {P::own_account, Kind::foreign, b.user, R"({"code": "000000"})"};
  table["DELETE " + user + "/totp"] = {P::own_account, Kind::foreign, b.user};
  table["POST /api/v1/sessions"] = {P::none, Kind::open, "", "{}"};
  table["GET /api/v1/sessions"] = {P::own_account, Kind::list};
  table["GET /api/v1/sessions/current"] = {P::own_account, Kind::list};
  table["DELETE /api/v1/sessions/current"] = {P::own_account, Kind::own};
  table["DELETE /api/v1/sessions/{id}"] = {P::own_account, Kind::foreign, b.session};
  table["GET /api/v1/setup"] = {P::none, Kind::open};
  table["POST /api/v1/setup"] = {P::none, Kind::open, "", "{}"};
  table["GET /api/v1/setup/code"] = {P::owner_change, Kind::whole};
  table["GET /api/v1/audit"] = {P::audit_view, Kind::whole};
  table["GET /api/v1/audit/export"] = {P::audit_view, Kind::whole};
  table["POST /api/v1/audit/verify"] = {P::audit_view, Kind::whole};
  table["POST /api/v1/audit/anchor"] = {P::audit_view, Kind::whole};
  std::string host = "/api/v1/hosts/{host}";
  table["GET /api/v1/hosts"] = {P::host_view, Kind::list};
  table["GET " + host] = {P::host_view, Kind::foreign, b.host.id.hex()};
  table["DELETE " + host] = {P::host_forget, Kind::foreign, b.host.id.hex()};
  table["POST " + host + "/revoke"] = {P::host_revoke, Kind::foreign, b.host.name};
  table["POST /api/v1/enroll"] = {P::none, Kind::open, "", "{}"};
  table["GET /api/v1/transfer"] = {P::host_work, Kind::of_host};
  table["GET /api/v1/imports"] = {P::machine_import, Kind::own};
  table["POST /api/v1/agent/poll"] = {P::host_work, Kind::of_host, "", "{}"};
  table["POST /api/v1/agent/renew"] = {P::host_work, Kind::of_host, "", R"({"request": "x"})"};
}

// The walk, step by step.
class Walk {
 public:
  Walk() {
    add_machines(table, appliance.bravo);
    add_boots(table, appliance.bravo);
    add_work(table, appliance.bravo);
    add_failbacks(table, appliance.bravo);
    add_appliance(table, appliance.bravo);
  }

  base::HttpRequest request_of(const Route& route, const std::string& query = "") const {
    const Expected& expected = table.at(name_of(route));
    std::string path;
    for (size_t at = 0; at < route.pattern.size();) {
      if (route.pattern[at] != '{') {
        path += route.pattern[at++];
        continue;
      }
      size_t end = route.pattern.find('}', at) + 1;
      std::string word = route.pattern.substr(at, end - at);
      if (word == "{disk}") path += "vda";
      else path += word == "{picture}" || word == "{rule}" ? "1" : expected.id;
      at = end;
    }
    std::string all = query;
    if (!expected.query.empty()) all += (query.empty() ? "?" : "&") + expected.query;
    return {route.method, path + all, {}, expected.body};
  }

  static std::string name_of(const Route& route) { return route.method + " " + route.pattern; }

  TwoTenants appliance;
  Table table;
};

bool is_refused(int status) { return status == 401 || status == 403; }

}  // namespace

TEST_CASE("every route is in the table, with the privilege that it needs", "[access]") {
  Walk walk;
  std::set<std::string> known;
  for (const Route& route : walk.appliance.router.routes()) {
    std::string name = Walk::name_of(route);
    INFO(name);
    known.insert(name);
    auto expected = walk.table.find(name);
    REQUIRE(expected != walk.table.end());
    CHECK(access::privilege_name(route.needs) == access::privilege_name(expected->second.needs));
    CHECK((route.about == Resource::appliance) == (expected->second.kind == Kind::whole));
  }
  for (const auto& [name, expected] : walk.table) {
    INFO(name);
    CHECK(known.contains(name));
  }
}

TEST_CASE("strangers are asked for credentials, agents and revoked agents are refused",
          "[access]") {
  Walk walk;
  TwoTenants& appliance = walk.appliance;
  for (const Route& route : appliance.router.routes()) {
    INFO(Walk::name_of(route));
    Kind kind = walk.table.at(Walk::name_of(route)).kind;
    int stranger = appliance.as_stranger(walk.request_of(route)).status;
    if (kind == Kind::open) CHECK_FALSE(is_refused(stranger));
    else CHECK(stranger == 401);
    int agent = appliance.as_host(appliance.alpha, walk.request_of(route)).status;
    if (kind == Kind::open || kind == Kind::of_host) CHECK_FALSE(is_refused(agent));
    else CHECK(agent == 403);
    if (kind == Kind::of_host) CHECK(appliance.as_root(walk.request_of(route)).status == 403);
  }
  appliance.catalog->revoke_host(appliance.alpha.host.id);
  for (const Route& route : appliance.router.routes()) {
    INFO(Walk::name_of(route));
    base::HttpResponse answer = appliance.as_host(appliance.alpha, walk.request_of(route));
    CHECK(answer.status == 403);
    CHECK_THAT(answer.body, Catch::Contains("revoked"));
  }
}

TEST_CASE("an operator of one tenant sees and changes nothing of another", "[access]") {
  Walk walk;
  TwoTenants& appliance = walk.appliance;
  const TenantThings& bravo = appliance.bravo;
  std::vector<std::string> before = appliance.state_of(bravo);
  for (const Route& route : appliance.router.routes()) {
    INFO(Walk::name_of(route));
    const Expected& expected = walk.table.at(Walk::name_of(route));
    auto ask = [&](const std::string& query = "") {
      return appliance.as_operator(appliance.alpha, walk.request_of(route, query));
    };
    if (expected.kind == Kind::open) continue;
    base::HttpResponse answer = ask();
    if (expected.kind == Kind::whole || expected.kind == Kind::of_host) CHECK(answer.status == 403);
    if (expected.kind == Kind::foreign) CHECK(answer.status == 404);
    if (expected.kind == Kind::list) CHECK(answer.status == 200);
    // A refusal may repeat what was asked.
    if (answer.status < 300 && expected.id.empty()) {
      CHECK_THAT(answer.body, !Catch::Contains("bravo"));
      for (const std::string& id :
           {bravo.point, bravo.boot, bravo.host.id.hex(), bravo.token.id.hex(), bravo.report})
        CHECK_THAT(answer.body, !Catch::Contains(id));
    }
    if (route.about != Resource::nothing) CHECK(ask("?tenant=bravo").status == 403);
  }
  // Its own machine is not given to another tenant's host.
  base::HttpRequest give{"PUT",
                         "/api/v1/machines/alpha-web/host",
                         {},
                         fmt::format(R"({{"host": "{}"}})", bravo.host.id.hex())};
  CHECK(appliance.as_operator(appliance.alpha, give).status == 404);
  CHECK(appliance.state_of(bravo) == before);
}

TEST_CASE("each role may do what its privileges say, and nothing else", "[access]") {
  Walk walk;
  TwoTenants& appliance = walk.appliance;
  using access::UserRole;
  for (UserRole role : {UserRole::administrator, UserRole::technician, UserRole::auditor,
                        UserRole::tenant_operator, UserRole::tenant_viewer}) {
    bool is_of_alpha = access::is_tenants_own(role);
    std::string token = appliance.token_of(
        role, is_of_alpha ? std::optional(appliance.alpha.tenant) : std::nullopt);
    access::Privileges privileges = access::privileges_of(role);
    for (const Route& route : appliance.router.routes()) {
      INFO(access::user_role_name(role) << ": " << Walk::name_of(route));
      const Expected& expected = walk.table.at(Walk::name_of(route));
      if (expected.kind == Kind::open || expected.kind == Kind::live ||
          route.needs == Privilege::none)
        continue;
      bool may = privileges.has(route.needs) && !(is_of_alpha && expected.kind == Kind::whole);
      // What it may change is not asked for: here it would be done.
      if (may && route.method != "GET" && !(is_of_alpha && expected.kind == Kind::foreign))
        continue;
      int status = appliance.with_token(token, walk.request_of(route)).status;
      CHECK((status == 403) == !may);
      if (may && is_of_alpha && expected.kind == Kind::foreign) CHECK(status == 404);
    }
  }
}

// Else the test before would be content with ids that do not exist.
TEST_CASE("the ids that another tenant does not find are there", "[access]") {
  Walk walk;
  for (const Route& route : walk.appliance.router.routes()) {
    INFO(Walk::name_of(route));
    const Expected& expected = walk.table.at(Walk::name_of(route));
    if (expected.kind != Kind::foreign) continue;
    if (route.method != "GET" && route.method != "PUT") continue;
    int status = walk.appliance.as_root(walk.request_of(route, "?tenant=bravo")).status;
    CHECK(status != 404);
    CHECK_FALSE(is_refused(status));
  }
}

}  // namespace appliance::api
