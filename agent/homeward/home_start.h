// What a restore does in addition if it is a round of a failback: it remembers which point the disks
// hold, so that the next round need not look at them; and it starts the machine, once for each number
// that the appliance gives, or promises never to (docs/failback.md). Not thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/homeward/home_record.h"
#include "agent/homeward/host_restore.h"
#include "restore/engine/target_check.h"

namespace agent::homeward {

// The disks of one machine on their way home. The caller holds the machine's lock.
class HomeDisks {
 public:
  // Throws corrupt if the record of earlier rounds cannot be read.
  HomeDisks(const Config& config, const RestoreOrder& order);

  // An earlier round of this failback has chosen the targets.
  bool is_known() const { return !record_.targets.empty(); }
  std::vector<RestoreTarget> targets() const;
  const HomeRecord& record() const { return record_; }

  // They held the order's base when this round began, nobody has changed them since the round before,
  // and the appliance can say what differs from it.
  bool holds_base(const std::optional<images::PointId>& offered) const;
  // Where nobody else has written, everything may be overwritten.
  restore::Overwriting overwriting(const RestoreTarget& target) const;

  // Durable before the first byte is written. `domain`: of libvirt's, empty if there will be none.
  void begin(const std::vector<RestoreTarget>& targets, const std::string& domain);
  // All of them hold the point, durably.
  void complete(const images::PointId& point);
  void defined(const std::string& domain);

 private:
  void save() const;

  const Config& config_;
  const RestoreOrder& order_;
  HomeRecord record_;
  std::optional<images::PointId> held_;  // when this round began
};

// Called with sentences for the job's log.
using Say = std::function<void(const std::string&)>;

// The caller holds the machine's lock. Starts the machine unless it was started for this number
// before; that it may have been is durable first. Returns `voided` if libvirt refused, with the reason
// said: then it never starts for this number. Throws, with nothing started, if the disks do not hold
// the order's point, or the number was voided.
HomeStart start_at_home(const Config& config, const RestoreOrder& order, const Say& say,
                        std::stop_token stop);

// The definition that is here stays; the firmware's variables and the TPM's state become those of the
// point's definition, as far as it has them.
void replace_state(const Config& config, const std::string& domain,
                   const images::MachineDefinition& definition, const Say& say);

// Returns `voided`, durably, unless the machine may have been started for this number.
HomeStart never_start(const Config& config, const RestoreOrder& order, const Say& say);

}  // namespace agent::homeward
