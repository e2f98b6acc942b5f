// Reports for clients: collected from the catalog, written as HTML or PDF into
// STATE/reports/TENANT/, created as jobs. The newest kKept of each tenant are kept. Thread-safe.
#pragma once

#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/report/report_data.h"
#include "appliance/schedule/scheduler.h"

namespace appliance::report {

enum class ReportFormat { html, pdf };
ReportFormat report_format_from_name(std::string_view name);  // throws invalid_argument
std::string_view report_format_name(ReportFormat format);

struct ReportOrder {
  access::TenantName tenant;
  uint64_t from_ms = 0, to_ms = 0;
  std::string timezone = "UTC";
  ReportFormat format = ReportFormat::html;
};

struct ReportFile {
  ReportFormat format = ReportFormat::html;
  std::string content;
};

class ReportService {
 public:
  static constexpr size_t kKept = 50;

  // All must outlive the service. `directory` is STATE/reports.
  ReportService(std::string directory, catalog::Catalog& catalog, schedule::Scheduler& scheduler,
                schedule::Policies& policies, jobs::JobRunner& jobs);

  // The job's figures name the report: {"report": ID}. Throws invalid_argument (an empty period, an
  // unknown time zone), not_found (no such tenant).
  jobs::JobId request(const ReportOrder& order, const access::Requester& requested_by);
  ReportFile open(const access::TenantName& tenant, const std::string& id);  // throws not_found

  TenantReport collect(const ReportOrder& order, uint64_t now_ms);

 private:
  void make(const ReportOrder& order, const std::string& id, jobs::JobContext& context);
  ReportedMachine collect_machine(const ReportOrder& order, const catalog::Machine& machine,
                                  uint64_t now_ms);

  const std::string directory_;
  catalog::Catalog& catalog_;
  schedule::Scheduler& scheduler_;
  schedule::Policies& policies_;
  jobs::JobRunner& jobs_;
};

}  // namespace appliance::report
