// One protected machine in a real store with its retention, and clocks that the test moves. One
// thread beside the service's own.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/verification_records.h"
#include "appliance/policy/policy.h"
#include "appliance/retention/retention_service.h"
#include "appliance/schedule/clock_trust.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/images/store/store_model.h"

namespace appliance::retention {

inline const catalog::TenantName kTenant(catalog::kDefaultTenant);
constexpr uint64_t kHour = 3'600'000, kDay = 24 * kHour;

// One protected machine in a real store, with clocks that the test moves.
struct Appliance {
  // In memory where that is possible: thousands of small durable writes.
  base::ScratchDirectory scratch{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp",
                                 "muletto-retention-test"};
  base::FaultyFileSystem files{base::real_file_system()};
  std::atomic<bool> is_broken = false;
  std::atomic<uint64_t> now_ms = base::parse_time_ms("2024-02-01T00:10:00Z");
  std::atomic<uint64_t> steady_ms = 1'000'000;
  std::string clock_problem;
  uint64_t order = 0;
  std::map<images::PointId, images::PointSummary> summaries;
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{files, scratch.path() + "/stores", *catalog};
  jobs::JobRunner jobs{*catalog, {.thread_count = 2}};
  boot::PointPins pins;
  points::PointDeletion deletion{*catalog, stores, pins, {scratch.path(), {}}};
  RetentionService service{*catalog, stores, jobs, deletion, surroundings()};

  Appliance() {
    std::filesystem::create_directories(scratch.path() + "/vms");
    stores.open_existing();
    files.before_each([this](uint64_t) {
      if (is_broken) throw base::Error(base::ErrorCode::io, "the disk is on fire");
    });
  }
  ~Appliance() { jobs.stop(); }

  Surroundings surroundings() {
    Surroundings around;
    around.state_directory = scratch.path();
    around.now_ms = [this] { return now_ms.load(); };
    around.steady_ms = [this] { return steady_ms.load(); };
    around.clock_problem = [this] { return clock_problem; };
    return around;
  }

  void set_rule(const std::string& keep) {
    policy::PolicyText text;
    text.name = "gold";
    text.keep = keep;
    catalog->set_policy(kTenant, "gold", policy::policy_to_json(text));
  }

  void protect(const std::string& machine, bool wanted = true) {
    catalog::Protection protection;
    protection.tenant = kTenant;
    protection.machine = machine;
    protection.wanted = wanted;
    protection.policy = "gold";
    catalog->save_protection(protection);
  }

  images::PointId sync(const std::string& machine = "web") {
    auto writer = stores.writer(kTenant);
    images::ModelPoint point{machine, now_ms, {{"vda", {1, 2}}}};
    images::PointId id = images::sync_model_point(*writer, point, std::nullopt, nullptr);
    images::PointSummary summary;
    summary.id = id;
    summary.machine = writer->reader().hasher().machine_id(machine);
    summary.machine_name = machine;
    summary.time_ms = now_ms;
    summary.dates.order = ++order;
    catalog->add_point(kTenant, summary);
    summaries[id] = summary;
    return id;
  }

  // The store is opened again, which dates its points by the real clock: they get their own back.
  void repair() {
    is_broken = false;
    stores.look();
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (stores.standing(kTenant).state != stores::StoreState::ready &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      stores.look();
    }
    for (const images::PointId& id : listed()) catalog->add_point(kTenant, summaries.at(id));
  }

  void judge(const images::PointId& point, const char* verdict, bool settled = true) {
    catalog::Verification seen;
    seen.tenant = kTenant;
    seen.machine_name = "web";
    seen.point = point;
    seen.verdict = verdict;
    seen.reasons = seen.checks = seen.evidence = "[]";
    seen.started_ms = now_ms;
    seen.settled = settled;
    catalog->add_verification(seen, {});
  }

  size_t job_count() {
    return catalog
        ->jobs({.scope = catalog::TenantScope::all(), .kind = "retention", .limit = 100'000})
        .size();
  }
  void wait_for_jobs() {
    for (auto state : {catalog::JobState::queued, catalog::JobState::running}) {
      for (const catalog::Job& job : catalog->jobs(
               {.scope = catalog::TenantScope::all(), .state = state, .kind = "retention"}))
        jobs.wait(job.id, std::chrono::seconds(60));
    }
  }
  // A look, and what it orders.
  void look() {
    service.run();
    wait_for_jobs();
  }
  // Looks until nothing goes any more; pauses after failures and busy points are over.
  void settle() {
    for (;;) {
      auto before = listed();
      steady_ms += kHour + 1;
      look();
      if (listed() == before) return;
    }
  }

  std::set<images::PointId> listed() {
    std::set<images::PointId> ids;
    for (const catalog::PointRow& row : catalog->points(kTenant, "web")) ids.insert(row.summary.id);
    return ids;
  }
  std::set<images::PointId> stored() {
    std::set<images::PointId> ids;
    for (const auto& each : stores.writer(kTenant)->reader().points_of("web")) ids.insert(each.id);
    return ids;
  }
  std::string alert(const char* kind) {
    for (const alerts::Condition& each : service.conditions()) {
      if (each.kind == kind) return each.message;
    }
    return "";
  }
};

}  // namespace appliance::retention
