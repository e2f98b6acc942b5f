// What the audit log is told of one request: that it begins, and its outcome. Used by one thread.
//
// Noted are all that change something, all that read the content of machines (files, disks, screens),
// and all that are refused. What agents do for their hosts all day (polls) is not. Reading the same
// thing again is noted once in ten minutes: a download is many requests.
#pragma once

#include <optional>
#include <string>

#include "appliance/api/http/router.h"
#include "appliance/audit/audit_log.h"

namespace appliance::api {

class RequestNote {
 public:
  // `log` may be null: nothing is noted, for tests.
  explicit RequestNote(audit::AuditLog* log) : log_(log) {}

  // Before the handler of the route runs. Throws unavailable: the request must not be carried out.
  void begin(const Route& route, const Request& request);
  // For every request, also for one that did not begin.
  void end(const Request& request, const Response& response) noexcept;

 private:
  audit::AuditLog* const log_;
  std::optional<uint64_t> number_;  // of the entry that it began with
  bool has_begun_ = false;
};

}  // namespace appliance::api
