// Looks for what is wrong, settles the alerts, and has people notified through the channels. Its
// round() is a duty's.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/catalog/alert_records.h"
#include "appliance/notices/channels.h"
#include "appliance/schedule/alert_watch.h"
#include "appliance/schedule/duties.h"
#include "appliance/schedule/protection_facts.h"

namespace appliance::schedule {

class AlertLoop {
 public:
  // `records`, `channels` and `duties` must outlive it. In addition to the sources it watches the channels of
  // alerts, internal errors of the daemon, and the duties. `hook` may be empty; it is called for each
  // change, besides the channels.
  AlertLoop(catalog::AlertRecords& records, notices::Channels& channels,
            std::vector<AlertSource> sources, DutyRunner& duties, alerts::AlertHook hook = {});

  // Throws if alerts cannot be recorded; then only the channels report that, once.
  void round(uint64_t now_ms);

  // For alerts that have an end of their own, and so no source.
  alerts::AlertBook& book() { return book_; }

 private:
  std::vector<AlertSource> with_own(std::vector<AlertSource> sources);

  notices::Channels& channels_;
  alerts::AlertBook book_;
  AlertWatch watch_;
  bool unsettled_ = false;  // the last round could not record alerts
};

// The machines, hosts and stores of all tenants. What `facts` refers to must outlive the source.
AlertSource protection_source(const FactSources& facts);

// An alert for each duty that is not done.
std::vector<alerts::Condition> duty_conditions(DutyRunner& duties);

}  // namespace appliance::schedule
