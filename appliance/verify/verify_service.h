// Test boots on order: a queue, a few workers, the verdicts in the catalog.
//
// Each worker has a boot service of its own (STATE/verify/N, RUN/verify/N) with an isolated network
// of its own: machines with one identity never meet, people's instant VMs are elsewhere, and
// everything left by a killed daemon can be deleted. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/host/guest_watch.h"
#include "appliance/catalog/catalog.h"
#include "appliance/catalog/proved_recovery.h"
#include "appliance/catalog/verification_records.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "appliance/verify/test_boot.h"
#include "appliance/verify/verdict.h"
#include "appliance/verify/volume_keys.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "base/repeated_log.h"

namespace appliance::verify {

struct VerifySettings {
  boot::BootSettings boot;    // as for the appliance's other VMs; folders and network are replaced
  uint32_t worker_count = 3;  // concurrent test boots, as far as memory allows
  size_t queue_size = 500;
  VerdictLimits limits;
  // Called when a point's verdict is final and in the catalog, on the worker's thread. May be empty;
  // must not throw.
  std::function<void(const access::TenantName&, const images::PointId&)> on_verdict;
};

class VerifyService {
 public:
  // All must outlive the service. Workers first clean up what a dead daemon left; while libvirt is
  // unavailable they wait for it.
  VerifyService(VerifySettings settings, boot::Hypervisor& hypervisor, boot::GuestWatch& watch,
                catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs);
  ~VerifyService();  // as stop()

  // Queues a test boot; `why` is "order", "sync" or "nightly". The job's figures name the
  // verification and its verdict. Throws not_found (no such point), busy (too many).
  jobs::JobId request(const access::TenantName& tenant, const std::string& point_selector,
                      const std::string& why, const access::Requester& requested_by);
  // Looks for the newest point that boots, by bisection: one test boot per step.
  jobs::JobId request_bisect(const access::TenantName& tenant, const std::string& machine_name,
                             const access::Requester& requested_by);

  // What the newest point's test boot requires: what operators configured, and what answered in
  // each of the last passes.
  std::vector<Expectation> expectations(const access::TenantName& tenant,
                                        const std::string& machine_name);
  // Throws not_found, invalid_argument.
  void set_checks(const access::TenantName& tenant, const std::string& machine_name,
                  const std::vector<std::string>& checks);
  // Forgets what past test boots taught: what the machine lost, it lost on purpose. Throws
  // not_found.
  void relearn(const access::TenantName& tenant, const std::string& machine_name);
  // The keys of machines' encrypted volumes.
  VolumeKeys& volume_keys() { return keys_; }
  catalog::ProvedRecovery recovery(const access::TenantName& tenant,
                                   const std::string& machine_name);

  void stop();  // ends running test boots, and waits

 private:
  struct Worker;
  using Work = std::function<void(Worker&, jobs::JobContext&)>;
  struct Task {
    std::shared_ptr<jobs::AttachedJob> job;
    Work work;
    std::string unit;  // as JobSpec::unit, of those that wait
  };
  struct State {
    std::deque<Task> queue;
    std::vector<jobs::JobId> running_ids;
    bool stopping = false;
  };

  jobs::JobId submit(const jobs::JobSpec& spec, Work work);
  void run_worker(uint32_t number, const std::stop_token& stop);
  void clean(Worker& worker);
  // A point is not expected to have what the machine showed only later.
  std::vector<Expectation> expectations_of(const access::TenantName& tenant,
                                           const std::string& machine_name, uint64_t point_order);
  catalog::Verification verify_point(Worker& worker, const access::TenantName& tenant,
                                     const images::PointId& point, const std::string& why,
                                     jobs::JobContext& context);
  // Writes what is known now: once for a pass that is still being observed, and at the end.
  void record(catalog::Verification& seen, const TestBootPlan& plan, const TestBootResult& result,
              bool settled, jobs::JobContext& context);
  void bisect(Worker& worker, const access::TenantName& tenant, const std::string& machine_name,
              jobs::JobContext& context);

  const VerifySettings settings_;
  boot::Hypervisor& hypervisor_;
  boot::GuestWatch& watch_;
  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  VolumeKeys keys_;
  base::Guarded<State> state_;
  base::Guarded<base::RepeatedLog> waiting_log_;  // of all workers, which wait for the same thing
  std::condition_variable changed_;
  std::vector<base::GuardedThread> workers_;
};

}  // namespace appliance::verify
