#include "appliance/report/report_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "appliance/catalog/verification_records.h"
#include "appliance/policy/policy.h"
#include "appliance/report/report_html.h"
#include "appliance/report/report_pdf.h"
#include "base/crypto.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/text.h"
#include "images/ids.h"

namespace appliance::report {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
using ReportId = images::Id<struct ReportTag, 8>;

constexpr uint32_t kMaxBoots = 5000;  // examined for each machine
constexpr uint32_t kMaxAlerts = 10'000;
constexpr uint64_t kMaxFile = 256ull << 20;  // bytes

constexpr auto kFormats = base::enum_names<ReportFormat>(
    "a report format", {{ReportFormat::html, "html"}, {ReportFormat::pdf, "pdf"}});

std::vector<std::string> sentences_of(const std::string& text) {
  json parsed = base::find_json(text, base::kOwnJsonLimits).value_or(json());
  std::vector<std::string> sentences;
  if (!parsed.is_array()) return sentences;
  for (const json& each : parsed) {
    if (each.is_string()) sentences.push_back(each.get<std::string>());
  }
  return sentences;
}

// File names keep tenants apart without containing the tenants' names, which may be anything.
std::string prefix_of(const access::TenantName& tenant) {
  base::Sha256 hash = base::sha256(base::as_bytes(tenant));
  ReportId id;
  std::copy_n(hash.begin(), id.bytes.size(), id.bytes.begin());
  return id.hex();
}

// Never the one just created: the clock may have been set back since the others were.
void forget_old(const std::string& directory, const std::string& prefix, const std::string& made) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name != made)
      files.emplace_back(entry.last_write_time(), entry.path());
  }
  std::sort(files.begin(), files.end(), std::greater<>());
  std::error_code ignored;
  for (size_t i = ReportService::kKept - 1; i < files.size(); ++i)
    std::filesystem::remove(files[i].second, ignored);
}

}  // namespace

ReportFormat report_format_from_name(std::string_view name) { return kFormats.value(name); }
std::string_view report_format_name(ReportFormat format) { return kFormats.name(format); }

ReportService::ReportService(std::string directory, catalog::Catalog& catalog,
                             schedule::Scheduler& scheduler, schedule::Policies& policies,
                             jobs::JobRunner& jobs)
    : directory_(std::move(directory)), catalog_(catalog), scheduler_(scheduler),
      policies_(policies), jobs_(jobs) {
  std::filesystem::create_directory(directory_);
  std::filesystem::permissions(directory_, std::filesystem::perms::owner_all);
}

jobs::JobId ReportService::request(const ReportOrder& order,
                                   const access::Requester& requested_by) {
  catalog_.require_tenant(order.tenant);
  policy::TimeZone zone(order.timezone);
  if (order.from_ms >= order.to_ms)
    throw Error(ErrorCode::invalid_argument, "the period is empty: 'from' must be before 'to'");
  std::string id = ReportId::random().hex();
  return jobs_.submit({"report", order.tenant, order.tenant, requested_by},
                      [=, this](jobs::JobContext& context) { make(order, id, context); });
}

void ReportService::make(const ReportOrder& order, const std::string& id,
                         jobs::JobContext& context) {
  std::string html = report_html(collect(order, base::now_ms()));
  context.throw_if_stopped();
  base::Bytes content;
  if (order.format == ReportFormat::pdf) content = pdf_from_html(html);
  base::ByteView bytes =
      order.format == ReportFormat::pdf ? base::ByteView(content) : base::as_bytes(html);
  std::string prefix = prefix_of(order.tenant);
  std::string name = fmt::format("{}-{}.{}", prefix, id, report_format_name(order.format));
  base::write_file_durably(base::real_file_system(), base::join_path(directory_, name), bytes);
  forget_old(directory_, prefix, name);
  context.set_figures(base::dump_text({{"report", id}, {"size", bytes.size()}}));
}

ReportFile ReportService::open(const access::TenantName& tenant, const std::string& id) {
  std::string clean = ReportId::from_hex(id).hex();
  for (ReportFormat format : {ReportFormat::html, ReportFormat::pdf}) {
    std::string path = base::join_path(
        directory_, fmt::format("{}-{}.{}", prefix_of(tenant), clean, report_format_name(format)));
    if (!base::real_file_system().exists(path)) continue;
    base::Bytes content = base::read_file(base::real_file_system(), path, kMaxFile);
    return {format, std::string(base::as_text(content))};
  }
  throw Error(ErrorCode::not_found,
              fmt::format("there is no report {}; the newest {} are kept", clean, kKept));
}

TenantReport ReportService::collect(const ReportOrder& order, uint64_t now_ms) {
  TenantReport report;
  report.tenant = order.tenant;
  report.from_ms = order.from_ms;
  report.to_ms = order.to_ms;
  report.made_ms = now_ms;
  report.timezone = order.timezone;
  report.store_check = catalog_.last_store_check(order.tenant);
  for (const catalog::Machine& machine : catalog_.machines(order.tenant))
    report.machines.push_back(collect_machine(order, machine, now_ms));
  for (catalog::Alert& alert : catalog_.alerts(order.tenant, true, kMaxAlerts)) {
    bool open_then =
        alert.opened_ms < order.to_ms && (!alert.closed_ms || *alert.closed_ms >= order.from_ms);
    if (open_then) report.alerts.push_back(std::move(alert));
  }
  return report;
}

ReportedMachine ReportService::collect_machine(const ReportOrder& order,
                                               const catalog::Machine& machine, uint64_t now_ms) {
  ReportedMachine known;
  known.name = machine.name;
  schedule::Standing standing = scheduler_.standing(order.tenant, machine);
  known.is_protected = standing.wanted;
  policy::Policy policy = policy::compile(
      policies_.text(order.tenant, standing.policy.empty() ? std::string(policy::kDefaultPolicy)
                                                           : standing.policy));
  if (policy.rpo_ms) known.rpo_ms = static_cast<uint64_t>(*policy.rpo_ms);
  known.rto_ms = policy.rto_ms;
  known.is_verified = policy.verification != policy::Verification::off;
  for (const catalog::PointRow& point : catalog_.points(order.tenant, machine.name)) {
    ++known.point_count;
    if (point.summary.time_ms < order.to_ms) known.latest_ms = point.summary.time_ms;
  }
  known.worst_gap_ms = catalog_.worst_gap(order.tenant, machine.name, order.from_ms, order.to_ms);
  uint64_t end = std::min(order.to_ms, now_ms);
  if (known.latest_ms && end > *known.latest_ms)
    known.worst_gap_ms = std::max(known.worst_gap_ms, end - *known.latest_ms);
  std::vector<catalog::RecoveryTime> times;
  for (const auto& time : catalog_.recovery_times(order.tenant, machine.name, kMaxBoots)) {
    if (time.started_ms < order.to_ms && times.size() < catalog::kRecoveryFrom)
      times.push_back(time);
  }
  known.recovery = catalog::proved_recovery(times);
  for (auto time = times.rbegin(); time != times.rend(); ++time)
    known.recovery_ms.push_back(time->recovery_ms);
  auto counts = catalog_.verdict_counts(order.tenant, machine.name, order.from_ms, order.to_ms);
  known.boot_count = counts.all;
  known.pass_count = counts.passed;
  auto last = catalog_.last_verification(order.tenant, machine.name, order.from_ms, order.to_ms);
  if (!last) return known;
  known.last_boot = ReportedBoot{last->started_ms,  last->point_time_ms,
                                 last->verdict,     sentences_of(last->reasons),
                                 last->recovery_ms, {}};
  auto pictures = catalog_.verification_pictures(last->number);
  if (!pictures.empty()) known.last_boot->screen_png = std::move(pictures.back().png);
  return known;
}

}  // namespace appliance::report
