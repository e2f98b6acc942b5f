// Conditions that change slowly and cost something to find: what many syncs or test boots in a row
// show, the disks of this machine, space over days. round() is a duty's; conditions() may be called on
// any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/alerts/disk_health.h"
#include "appliance/catalog/catalog.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::schedule {

class SlowWatch {
 public:
  struct Sources {
    catalog::Catalog& catalog;
    // The appliance's version: agents of another one are outdated.
    std::string version;
    // Folder by name ("the stores"): on what disks space is foretold.
    std::map<std::string, std::string> directories;
    // Keeps a point from being removed. Throws; tests pass one of their own.
    std::function<void(const catalog::TenantName&, const catalog::Hold&)> hold;
    // What disks and arrays say; tests pass answers of their own.
    std::function<std::vector<alerts::HardwareProblem>()> hardware;
    const base::Clock& clock = base::system_clock();
  };
  explicit SlowWatch(Sources sources) : sources_(std::move(sources)) {}

  // Once a minute; hardware and space once an hour. Throws what the catalog throws.
  void round();
  // Throws NotLookedYet before the first round.
  std::vector<alerts::Condition> conditions();

 private:
  void add_agents(std::vector<alerts::Condition>& found);
  void add_compactions(const catalog::TenantName& tenant, std::vector<alerts::Condition>& found);
  void add_machine(const catalog::Machine& machine, std::vector<alerts::Condition>& found);
  void hold_clean_point(const catalog::Machine& machine, const std::string& point);
  void look_at_hardware(uint64_t now_ms);

  const Sources sources_;
  std::optional<uint64_t> looked_ms_, looked_at_hardware_ms_;  // steady
  std::vector<alerts::Condition> hardware_;                    // as last found
  base::Guarded<std::optional<std::vector<alerts::Condition>>> found_;
};

// Asks smartctl, /proc/mdstat and zpool. A program that is not installed is not asked. Takes seconds.
std::vector<alerts::HardwareProblem> ask_hardware();

}  // namespace appliance::schedule
