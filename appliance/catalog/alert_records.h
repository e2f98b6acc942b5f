// Alerts, open and closed. At most one is open for each tenant, kind and subject. Errors and
// durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

// What a person said about an alert.
struct Remark {
  std::string by;    // as access::Requester
  std::string note;  // may be empty
};

class AlertRecords {
 public:
  virtual ~AlertRecords() = default;

  // Opens the alert, or updates the message and `last_ms` of an open one. True if it is new: then
  // the change waits for NoticeRecords::next_changes(), as does that of close_alert().
  virtual bool open_alert(const Alert& alert) = 0;
  // False if none was open.
  virtual bool close_alert(const TenantName& tenant, std::string_view kind,
                           std::string_view subject, uint64_t now_ms) = 0;
  // The first acknowledgement counts. Throws not_found; returns the alert as it is now.
  virtual Alert acknowledge_alert(int64_t id, const TenantScope& scope, const Remark& remark,
                                  uint64_t now_ms) = 0;
  // Until then nobody is notified that it opens, also if it closes and opens again; a second silence
  // replaces the first. A time that has passed ends it. Throws not_found; returns the alert as it is
  // now.
  virtual Alert silence_alert(int64_t id, const TenantScope& scope, const Remark& remark,
                              uint64_t until_ms) = 0;
  virtual std::optional<Alert> find_alert(int64_t id, const TenantScope& scope) = 0;
  // Newest first; closed ones too if wanted.
  virtual std::vector<Alert> alerts(const TenantScope& scope, bool closed_too, uint32_t limit) = 0;
};

}  // namespace appliance::catalog
