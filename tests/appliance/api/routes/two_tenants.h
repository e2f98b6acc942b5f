// A whole appliance behind a real server, with two tenants, each with one of everything that the API
// can show. Everything of the second has "bravo" in its name. One thread.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "appliance/api/http/server.h"
#include "appliance/api/routes/event_routes.h"
#include "appliance/api/routes/routes.h"
#include "appliance/audit/audit_service.h"
#include "appliance/boot/model/boot_record.h"
#include "appliance/catalog/catalog.h"
#include "appliance/failback/failback_service.h"
#include "appliance/failback/keep_off.h"
#include "appliance/files/file_looks.h"
#include "appliance/notices/channels.h"
#include "appliance/people/people.h"
#include "appliance/people/setup_code.h"
#include "appliance/points/point_deletion.h"
#include "appliance/points/point_marking.h"
#include "appliance/policy/policy.h"
#include "appliance/presence/presence.h"
#include "appliance/report/report_service.h"
#include "appliance/rescue/point_fetches.h"
#include "appliance/rescue/rescue_codes.h"
#include "appliance/retention/retention_service.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/schedule/duties.h"
#include "appliance/verify/verify_service.h"
#include "base/http_client.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"
#include "tests/appliance/boot/fake_hypervisor.h"
#include "tests/appliance/verify/no_watch.h"

namespace appliance::api {

// What a tenant has: names and ids as they stand in paths.
struct TenantThings {
  access::TenantName tenant;
  std::string machine, policy, point, boot, report;
  catalog::Host host;
  base::Credentials host_credentials;
  catalog::Token token;
  std::string token_secret;
  std::string job, restore, rescue, alert, verification, failback;
  std::string user;     // a viewer of the tenant
  std::string session;  // of that user, its id
  std::unique_ptr<jobs::AttachedJob> running, restoring;
};

class TwoTenants {
 public:
  TwoTenants() {
    std::filesystem::create_directories(config_.stores_directory());
    alpha = make_tenant("alpha");
    bravo = make_tenant("bravo");
    add_all_routes(router, services_);
    add_event_routes(router, events);
    ServerOptions options;
    options.listen = {"127.0.0.1", 0};
    options.socket_path = config_.api_socket_path();
    options.audit = &audit_log_;
    options.limits.agent_burst = options.limits.stranger_burst = 100'000;
    server_ =
        std::make_unique<Server>(options, router, authenticator_, authority_->server_context({}),
                                 [](base::ByteStream&, const Principal&) {});
    server_->start();
  }
  ~TwoTenants() {
    server_->stop();
    for (TenantThings* each : {&alpha, &bravo}) {
      each->running.reset();
      each->restoring.reset();
    }
    verification_.stop();
    jobs_.stop();
  }

  base::HttpResponse as_root(base::HttpRequest request) {
    return base::HttpClient::over_unix(config_.api_socket_path()).send(request);
  }
  base::HttpResponse as_stranger(base::HttpRequest request) { return over_tls({}, request); }
  base::HttpResponse as_host(const TenantThings& of, base::HttpRequest request) {
    return over_tls(of.host_credentials, request);
  }
  base::HttpResponse as_operator(const TenantThings& of, base::HttpRequest request) {
    return with_token(of.token_secret, std::move(request));
  }
  base::HttpResponse with_token(const std::string& secret, base::HttpRequest request) {
    request.headers.emplace_back("Authorization", "Bearer " + secret);
    return over_tls({}, request);
  }
  // As a browser does, from a page of that origin; empty: without one.
  base::HttpResponse with_cookie(const std::string& secret, base::HttpRequest request,
                                 const std::string& origin) {
    request.headers.emplace_back("Cookie", "theme=dark; muletto_session=" + secret);
    if (!origin.empty()) request.headers.emplace_back("Origin", origin);
    return over_tls({}, request);
  }
  std::string own_origin() const { return "https://127.0.0.1:" + std::to_string(server_->port()); }
  // A token of that role; none: of all tenants.
  std::string token_of(access::UserRole role, const std::optional<access::TenantName>& tenant) {
    std::string secret = "mt_" + catalog::TokenId::random().hex();
    catalog::Token token;
    token.id = catalog::TokenId::random();
    token.kind = catalog::TokenKind::operator_;
    token.tenant = tenant.value_or(access::TenantName(access::kDefaultTenant));
    token.tenant_only = tenant.has_value();
    token.role = role;
    token.created_ms = 1;
    catalog->add_token(token, base::sha256(base::as_bytes(secret)));
    return secret;
  }
  people::People& people() { return people_; }
  static constexpr const char* kPassword = "a long word for it";  // of all users here
  // The pieces of a live answer, until `on_piece` returns false.
  base::HttpResponse follow_as_operator(const TenantThings& of, base::HttpRequest request,
                                        const std::function<bool(std::string_view)>& on_piece) {
    request.headers.emplace_back("Authorization", "Bearer " + of.token_secret);
    return client({}).follow(request, on_piece);
  }

  // All that could change of a tenant's things.
  std::vector<std::string> state_of(const TenantThings& of) {
    std::vector<std::string> state;
    for (const auto& host : catalog->hosts(of.tenant))
      state.push_back(host.id.hex() + (host.revoked ? " revoked" : ""));
    for (const auto& token : catalog->tokens(of.tenant)) state.push_back(token.id.hex());
    for (const auto& user : catalog->users(of.tenant))
      state.push_back(user.name + std::string(access::user_role_name(user.role)) + user.note +
                      user.password + (user.disabled ? " disabled" : ""));
    for (const auto& machine : catalog->machines(of.tenant))
      state.push_back(machine.name + " of " + machine.host_name);
    for (const auto& row : catalog->points(of.tenant, "")) state.push_back(row.summary.id.hex());
    for (const auto& [id, hold] : catalog->holds(of.tenant, 1)) state.push_back("held " + id.hex());
    for (const auto& job : catalog->jobs({.scope = of.tenant}))
      state.push_back(std::to_string(job.id.number) + job.kind +
                      std::string(catalog::job_state_name(job.state)));
    for (const auto& alert : catalog->alerts(of.tenant, true, 100))
      state.push_back(alert.subject + (alert.acknowledged_ms ? " acknowledged" : ""));
    for (const auto& [name, body] : catalog->policies(of.tenant)) state.push_back(name + body);
    for (const auto& each : catalog->protections(of.tenant))
      state.push_back(each.machine + each.policy + (each.wanted ? " wanted" : ""));
    for (const auto& each : catalog->failbacks(of.tenant, true, 100))
      state.push_back(each.machine + std::string(catalog::failback_step_name(each.step)) +
                      (each.wants_switch || each.wants_cancel || each.is_paused ? " asked" : ""));
    state.push_back(catalog->machine_checks(of.tenant, of.machine).asked);
    for (const auto& vm : boots_.list(of.tenant))
      state.push_back(vm.id.hex() + std::string(boot::restart_policy_name(vm.restart)) +
                      std::string(boot::timeline_name(vm.timeline)));
    return state;
  }

 private:
  base::ScratchDirectory scratch_{"/tmp", "muletto-routes"};
  Config config_ = make_config();

 public:
  std::unique_ptr<catalog::Catalog> catalog = catalog::Catalog::open(config_.catalog_path());
  TenantThings alpha, bravo;
  events::EventLog events{1000};
  Router router;

 private:
  Config make_config() {
    Config config;
    config.state_directory = scratch_.path() + "/state";
    config.run_directory = scratch_.path() + "/run";
    std::filesystem::create_directories(config.state_directory);
    std::filesystem::create_directories(config.run_directory);
    return config;
  }

  boot::BootSettings boot_settings() const {
    boot::BootSettings settings;
    settings.state_directory = config_.state_directory;
    settings.run_directory = config_.run_directory;
    settings.accelerator = boot::Accelerator::tcg;
    return settings;
  }

  retention::Surroundings surroundings() const {
    retention::Surroundings around;
    around.state_directory = config_.state_directory;
    around.clock_problem = [] { return ""; };
    return around;
  }

  base::HttpResponse over_tls(const base::Credentials& credentials,
                              const base::HttpRequest& request) {
    return client(credentials).send(request);
  }

  base::HttpClient client(const base::Credentials& credentials) {
    base::TlsClientOptions options;
    options.authority_fingerprint = authority_->fingerprint();
    options.credentials = credentials;
    base::Endpoint endpoint{"127.0.0.1", server_->port()};
    return base::HttpClient::over_tls(endpoint, base::TlsContext::client(options));
  }

  void enroll(TenantThings& things) {
    std::string key = base::generate_key();
    base::Sha256 hash = base::sha256(base::as_bytes("enrol " + things.tenant.text()));
    catalog->add_token(
        {catalog::TokenId::random(), catalog::TokenKind::enrolment, things.tenant, "", 1, {}, {}},
        hash);
    things.host.id = catalog::HostId::random();
    things.host.tenant = things.tenant;
    things.host.name = things.tenant.text() + "-host";
    pki::HostCertificate issued = authority_->sign_host(
        base::make_signing_request(key, things.host.name), things.host.id.hex());
    things.host.certificate_serial = issued.serial;
    catalog->enroll_host(hash, things.host, 5);
    things.host_credentials = {issued.certificate_pem, key};
  }

  void add_point(TenantThings& things) {
    auto writer = stores_.writer(things.tenant);
    things.point = writer->begin({things.machine, {{"vda", 4096, {}}}})->commit({}).hex();
    stores_.recompute_points(things.tenant, catalog::LostPoints::keep_in_mind);
    scheduler_.protect(things.tenant, things.machine, true, std::nullopt);
  }

  void add_boot(TenantThings& things) {
    boot::BootRecord record;
    record.phase = boot::Phase::ended;
    record.vm.id = boot::BootId::random();
    record.vm.tenant = things.tenant;
    record.vm.machine_name = things.machine;
    record.vm.domain_name = "muletto-" + things.machine;
    record.vm.point = images::PointId::from_hex(things.point);
    record.vm.store.location = stores_.directory_of(things.tenant);
    record.vm.serial_log_path = "/nowhere";
    things.boot = record.vm.id.hex();
    boot::BootPaths paths =
        boot::boot_paths(config_.state_directory, config_.run_directory, record.vm.id);
    std::filesystem::create_directories(paths.folder);
    boot::write_record(base::real_file_system(), paths, record);
    base::write_file_durably(base::real_file_system(), paths.serial_path, base::as_bytes("x"));
  }

  TenantThings make_tenant(const std::string& name) {
    TenantThings things;
    things.tenant = access::TenantName(name);
    stores_.create_tenant(things.tenant, false);
    things.machine = name + "-web";
    things.policy = name + "-gold";
    policy::PolicyText policy;
    policy.name = things.policy;
    catalog->set_policy(things.tenant, things.policy, policy::policy_to_json(policy));
    enroll(things);
    add_point(things);
    add_boot(things);
    things.token_secret = "mt_" + name;
    things.token = {catalog::TokenId::random(),
                    catalog::TokenKind::operator_,
                    things.tenant,
                    name,
                    1,
                    {},
                    {},
                    true};
    catalog->add_token(things.token, base::sha256(base::as_bytes(things.token_secret)));
    things.user = name + "-viewer";
    catalog::User user;
    user.name = things.user;
    user.role = access::UserRole::tenant_viewer;
    user.tenant = things.tenant;
    people_.add_user(user, kPassword);
    things.session =
        people_.sign_in({things.user, kPassword, ""}, "192.0.2.1").who.session.id.hex();
    things.running =
        jobs_.attach({"sync", things.tenant, things.machine, access::Requester::schedule()});
    things.job = std::to_string(things.running->id().number);
    things.restoring =
        jobs_.attach({"restore", things.tenant, things.machine, access::Requester::schedule()});
    things.restore = std::to_string(things.restoring->id().number);
    things.rescue = std::to_string(
        rescue_codes_.make({things.tenant, {things.machine}, 3'600'000}, access::Requester("root"))
            .code.id);
    catalog->open_alert({.tenant = things.tenant,
                         .kind = "host-silent",
                         .subject = things.host.name,
                         .message = name});
    things.alert = std::to_string(catalog->alerts(things.tenant, false, 1).at(0).id);
    catalog::Failback home;
    home.tenant = things.tenant;
    home.machine = things.machine;
    home.boot = things.boot;
    home.host = things.host.id;
    things.failback = std::to_string(catalog->add_failback(home));
    catalog::Verification seen;
    seen.tenant = things.tenant;
    seen.machine_name = things.machine;
    seen.point = images::PointId::from_hex(things.point);
    seen.verdict = "pass";
    seen.reasons = seen.checks = seen.evidence = "[]";
    things.verification = std::to_string(catalog->add_verification(seen, {{1, name, {0x89}}}));
    jobs::JobId report =
        reports_.request({.tenant = things.tenant, .from_ms = 1, .to_ms = 2'000'000'000'000},
                         access::Requester("root"));
    std::string figures = jobs_.wait(report, std::chrono::seconds(60)).figures;
    things.report = base::parse_json(figures, "figures").at("report");
    return things;
  }

  std::unique_ptr<pki::Authority> authority_ =
      pki::Authority::open(config_.pki_directory(), pki::local_server_names(""));
  stores::TenantStores stores_{base::real_file_system(), config_.stores_directory(), *catalog};
  jobs::JobRunner jobs_{*catalog, {.thread_count = 1}};
  boot::FakeHypervisor hypervisor_;
  verify::NoWatch watch_;
  boot::PointPins pins_;
  boot::BootService boots_{boot_settings(), hypervisor_};
  boot::Asker asker_;
  schedule::Policies policies_{*catalog};
  schedule::Scheduler scheduler_{*catalog, policies_, jobs_, {}};
  schedule::DutyRunner duties_;
  notices::Channels channels_{*catalog, {}};
  verify::VerifyService verification_{
      {.boot = boot_settings(), .worker_count = 0}, hypervisor_, watch_, *catalog, stores_, jobs_};
  report::ReportService reports_{config_.reports_directory(), *catalog, scheduler_, policies_,
                                 jobs_};
  schedule::ClockTrust clock_trust_{*catalog};
  presence::Presence presence_{{}};
  points::LivedTime lived_{*catalog};
  points::TenantLocks locks_{*catalog, lived_};
  points::PointDeletion deletion_{
      *catalog, stores_, pins_, {config_.state_directory, {}, {}, &locks_}};
  points::PointMarking marking_{*catalog, stores_, access::NodeId{}, "cellar"};
  retention::RetentionService retention_{*catalog, stores_, jobs_, deletion_, surroundings()};
  files::FileLooks looks_{stores_, jobs_};
  rescue::RescueCodes rescue_codes_;
  rescue::PointFetches fetches_{stores_, jobs_};
  homeward::HostRestores host_restores_{*catalog, stores_, jobs_};
  failback::FailbackService failbacks_{{*catalog, jobs_, boots_, scheduler_, host_restores_}};
  failback::KeepOff keep_off_{*catalog, boots_, scheduler_};
  people::People people_{*catalog,
                         people::PeopleOptions{.cost = {.memory_kib = 64, .passes = 1},
                                               .setup_code_path = config_.setup_code_path(),
                                               .appliance_name = "cellar"}};
  audit::AuditLog audit_log_{*catalog, {.appliance = "0011223344556677"}};
  audit::AuditService audit_{audit_log_, *catalog, stores_, base::real_file_system(),
                             access::NodeId{}};
  Services services_{.config = config_,
                     .catalog = *catalog,
                     .stores = stores_,
                     .jobs = jobs_,
                     .boots = boots_,
                     .asker = asker_,
                     .scheduler = scheduler_,
                     .authority = *authority_,
                     .cut_host = [](const catalog::HostId&) {},
                     .public_address = [] { return std::string("appliance:7443"); },
                     .verification = &verification_,
                     .reports = &reports_,
                     .clock_trust = &clock_trust_,
                     .presence = &presence_,
                     .deletion = &deletion_,
                     .marking = &marking_,
                     .retention = &retention_,
                     .policies = &policies_,
                     .duties = &duties_,
                     .channels = &channels_,
                     .looks = &looks_,
                     .rescue_codes = &rescue_codes_,
                     .fetches = &fetches_,
                     .failbacks = &failbacks_,
                     .keep_off = &keep_off_,
                     .people = &people_,
                     .audit = &audit_};
  Authenticator authenticator_{*catalog, &people_};
  std::unique_ptr<Server> server_;
};

}  // namespace appliance::api
