#include "appliance/retention/pruning.h"

#include <chrono>
#include <filesystem>
#include <set>

#include "base/log.h"
#include "base/text.h"

namespace appliance::retention {
namespace {

namespace fs = std::filesystem;

// A trace may belong to a store that is not adopted yet.
constexpr std::chrono::hours kOrphanAge{30 * 24};

// STORE-MACHINE.trace
std::string machine_of(const std::string& file_name) {
  size_t dash = file_name.find('-'), dot = file_name.find(".trace");
  if (dash == std::string::npos || dot == std::string::npos || dot < dash) return "";
  return file_name.substr(dash + 1, dot - dash - 1);
}

size_t forget_orphaned_traces(catalog::Catalog& catalog, const std::string& directory) {
  std::set<std::string> machines;
  for (const catalog::Tenant& tenant : catalog.tenants(catalog::TenantScope::all())) {
    for (const catalog::Machine& machine : catalog.machines(tenant.name))
      machines.insert(machine.id.hex());
  }
  size_t removed = 0;
  std::error_code problem;
  for (fs::directory_iterator entry(directory, problem);
       !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
    std::string machine = machine_of(entry->path().filename().string());
    if (machine.empty() || machines.contains(machine)) continue;
    std::error_code gone;
    auto age = fs::file_time_type::clock::now() - entry->last_write_time(gone);
    if (!gone && age > kOrphanAge && fs::remove(entry->path(), gone)) ++removed;
  }
  return removed;
}

}  // namespace

void prune(catalog::Catalog& catalog, const PruningPlaces& places, uint64_t now_ms) {
  catalog::PruneCounts rows = catalog.prune({}, now_ms);
  size_t traces =
      places.trace_directory.empty() ? 0 : forget_orphaned_traces(catalog, places.trace_directory);
  if (rows.sum() + traces == 0) return;
  base::log().info("removed old records: {} and {}", base::format_count(rows.sum(), "row"),
                   base::format_count(traces, "boot trace"));
}

}  // namespace appliance::retention
