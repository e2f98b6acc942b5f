// Which machines a host's agent must keep off, because they run as instant VMs here or were brought
// home to another host; and what the agents say about it. Thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/boot/boot_service.h"
#include "appliance/catalog/catalog.h"
#include "appliance/schedule/scheduler.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::failback {

// For a host's agent (docs/protocol.md, "Orders", `keep_off`).
struct KeptOffMachine {
  std::string machine;
  std::string boot;     // the instant VM that runs it, or ran it last
  uint64_t age_ms = 0;  // since that was started
  int64_t after = 0;    // starts at home that a failback up to this one ordered count for nothing
};

// What an agent says about one of them.
struct KeptOffReport {
  std::string machine;
  bool runs = false;  // since before the instant VM
  uint64_t ended_count = 0;
  std::string error;  // a sentence; empty: none
};
constexpr size_t kMaxKeptOff = 2000;

class KeepOff {
 public:
  // All outlive it.
  KeepOff(catalog::Catalog& catalog, boot::BootService& boots, schedule::Scheduler& scheduler,
          const base::Clock& clock = base::system_clock())
      : catalog_(catalog), boots_(boots), scheduler_(scheduler), clock_(clock) {}

  // The complete list. Throws if it cannot be known: then the agent is told nothing.
  std::vector<KeptOffMachine> list(const catalog::Host& host);
  void take(const catalog::Host& host, const std::vector<KeptOffReport>& reports);

  std::vector<alerts::Condition> conditions();

 private:
  struct Seen {
    catalog::TenantName tenant;
    std::string host_name;
    uint64_t ended_count = 0;
    uint64_t ended_ms = 0;  // steady: when the count last grew; 0: it has not
    std::string error;
  };

  catalog::Catalog& catalog_;
  boot::BootService& boots_;
  schedule::Scheduler& scheduler_;
  const base::Clock& clock_;
  base::Guarded<std::map<std::pair<catalog::HostId, std::string>, Seen>> seen_;
};

}  // namespace appliance::failback
