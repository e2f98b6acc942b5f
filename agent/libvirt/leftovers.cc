#include "agent/libvirt/leftovers.h"

#include <exception>
#include <functional>

#include "agent/libvirt/domain_monitor.h"
#include "agent/monitor/raw_tracking.h"
#include "agent/state_layout.h"
#include "agent/tracking.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scratch_directory.h"

namespace agent::libvirt {
namespace {

void thaw_if_marked(const Domain& domain, const SyncPlace& place) {
  if (!is_marked_frozen(place)) return;
  if (domain.running()) {
    base::log().warn("{} may still be frozen by an interrupted sync: thawing it", domain.name());
    domain.thaw();
  }
  unmark_frozen(place);
}

void end_own_backup(const Domain& domain, const SyncPlace& place) {
  if (!domain.running()) return;
  std::string xml = domain.backup_xml();
  if (xml.empty()) return;
  // Its scratch files show whose backup it is.
  std::string ours =
      scratch_parent(place.state_directory) + "/" + machine_file_name(place.machine_name) + "-";
  if (xml.find(ours) == std::string::npos) {
    throw base::Error(base::ErrorCode::busy,
                      "another program is making a backup of " + domain.name());
  }
  base::log().info("ending the backup job of an interrupted sync of {}", domain.name());
  domain.end_backup();
}

void delete_unknown_checkpoints(const Domain& domain, const SyncPlace& place) {
  // If the domain is shut off, only libvirt's record would be deleted, and its bitmap would stay
  // forever.
  if (!domain.running()) return;
  auto record = load_tracking(place.state_directory, place.machine_name);
  delete_other_checkpoints(domain, record ? record->checkpoint : "");
}

// The monitor is asked only if a sync has used it, since that taints the domain.
void remove_unknown_bitmaps(const Domain& domain, const SyncPlace& place) {
  if (!are_bitmaps_marked(place)) return;
  if (!domain.running()) return unmark_bitmaps(place);
  auto record = load_tracking(place.state_directory, place.machine_name);
  DomainMonitor monitor(domain);
  monitor::remove_bitmaps(monitor, monitor::bitmaps_of(record ? record->monitor : std::nullopt));
}

}  // namespace

bool forget_bitmaps(const Domain& domain, const SyncPlace& place) {
  if (!are_bitmaps_marked(place)) return false;
  if (domain.running()) {
    DomainMonitor monitor(domain);
    if (!monitor::remove_bitmaps(monitor, {})) return false;
  }
  unmark_bitmaps(place);
  return true;
}

void delete_other_checkpoints(const Domain& domain, const std::string& kept) noexcept {
  try {
    for (const Checkpoint& checkpoint : domain.checkpoints()) {
      if (!checkpoint.name.starts_with(kCheckpointPrefix) || checkpoint.name == kept) continue;
      try {
        domain.delete_checkpoint(checkpoint.name);
      } catch (const base::Error& error) {
        base::log().warn("{}", error.message());
      }
    }
  } catch (const base::Error& error) {
    base::log().warn("{}", error.message());
  }
}

void remove_leftovers(const Domain& domain, const SyncPlace& place) {
  std::exception_ptr first_failure;
  auto attempt = [&](const std::function<void()>& step) {
    try {
      step();
    } catch (const base::Error&) {
      if (!first_failure) first_failure = std::current_exception();
    }
  };
  attempt([&] { thaw_if_marked(domain, place); });
  attempt([&] { end_own_backup(domain, place); });
  attempt([&] { delete_unknown_checkpoints(domain, place); });
  attempt([&] { remove_unknown_bitmaps(domain, place); });
  std::string prefix = machine_file_name(place.machine_name);
  base::remove_abandoned_directories(scratch_parent(place.state_directory), prefix);
  base::remove_abandoned_directories(place.run_directory, prefix);
  if (first_failure) std::rethrow_exception(first_failure);
}

}  // namespace agent::libvirt
