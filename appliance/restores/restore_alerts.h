// The alert "restore-failed": a restore that a person ordered has failed, and nobody who was told
// so has answered. One for each machine and target; a success to the same target closes it, or an
// acknowledgement. Surveys and cancelled restores neither open nor close it.
//
// What was missed while the daemon was down is made up for in the first round, from the jobs that the
// catalog keeps: also the restores that the daemon's end has failed. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/catalog/alert_records.h"
#include "appliance/catalog/job_records.h"
#include "base/guarded.h"

namespace appliance::restores {

class RestoreAlerts {
 public:
  // Both must outlive it.
  RestoreAlerts(catalog::JobRecords& jobs, catalog::AlertRecords& alerts)
      : jobs_(jobs), alerts_(alerts) {}

  // A job has ended; others than restores are passed over. Only remembers it.
  void ended(const catalog::Job& job);

  // Opens and closes. Throws if alerts cannot be recorded; the next call continues.
  void round(alerts::AlertBook& book, uint64_t now_ms);

 private:
  struct State {
    std::vector<catalog::Job> waiting;
    bool has_caught_up = false;
  };

  void close_acknowledged(alerts::AlertBook& book, uint64_t now_ms);
  std::vector<catalog::Job> missed();

  catalog::JobRecords& jobs_;
  catalog::AlertRecords& alerts_;
  base::Guarded<State> state_;
};

}  // namespace appliance::restores
