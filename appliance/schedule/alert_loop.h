// Looks for what is wrong, settles the alerts, and notifies people through the channels. Its
// round() is a duty's; channels() may be used on any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/alerts/channels.h"
#include "appliance/catalog/alert_records.h"
#include "appliance/schedule/alert_watch.h"
#include "appliance/schedule/duties.h"
#include "appliance/schedule/protection_facts.h"

namespace appliance::schedule {

class AlertLoop {
 public:
  // `records` and `duties` must outlive it. In addition to the sources it watches the channels of
  // alerts, internal errors of the daemon, and the duties. `hook` may be empty; it is called for each
  // change, besides the channels.
  AlertLoop(catalog::AlertRecords& records, const alerts::ChannelSettings& channels,
            std::vector<AlertSource> sources, DutyRunner& duties, alerts::AlertHook hook = {});

  // Throws if alerts cannot be recorded; then only the channels report that, once.
  void round(uint64_t now_ms);

  alerts::AlertChannels& channels() { return channels_; }
  // For alerts that have an end of their own, and so no source.
  alerts::AlertBook& book() { return book_; }

 private:
  std::vector<AlertSource> with_own(std::vector<AlertSource> sources);

  alerts::AlertChannels channels_;
  alerts::AlertBook book_;
  AlertWatch watch_;
  bool unsettled_ = false;  // the last round could not record alerts
};

// The machines, hosts and stores of all tenants. What `facts` refers to must outlive the source.
AlertSource protection_source(const FactSources& facts);

// An alert for each duty that is not done.
std::vector<alerts::Condition> duty_conditions(DutyRunner& duties);

}  // namespace appliance::schedule
