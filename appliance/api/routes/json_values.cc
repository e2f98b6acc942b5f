#include "appliance/api/routes/json_values.h"

#include <nlohmann/json.hpp>

#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {

using nlohmann::json;

namespace {

json time_json(std::optional<uint64_t> time_ms) {
  return time_ms ? json(base::format_time_ms(*time_ms)) : json(nullptr);
}

// Null: none, or unknown.
json parent_json(const images::PointLineage& lineage) {
  return lineage.parent ? json(lineage.parent->hex()) : json(nullptr);
}

json origin_json(const images::PointLineage& lineage) {
  if (!lineage.origin) return nullptr;
  return {{"store", lineage.origin->store.hex()}, {"point", lineage.origin->point.hex()}};
}

}  // namespace

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json host_json(const catalog::Host& host) {
  return {{"id", host.id.hex()},
          {"name", host.name},
          {"tenant", host.tenant.text()},
          {"version", host.version},
          {"certificate_serial", host.certificate_serial},
          {"certificate_made", time_json(host.certified_ms)},
          {"enrolled", time_json(host.enrolled_ms)},
          {"last_seen", time_json(host.last_seen_ms)},
          {"revoked", host.revoked}};
}

json token_json(const catalog::Token& token) {
  return {{"id", token.id.hex()},
          {"kind", catalog::token_kind_name(token.kind)},
          {"tenant", token.tenant.text()},
          {"tenant_only", token.tenant_only},
          {"role", token.kind == catalog::TokenKind::operator_
                       ? json(access::user_role_name(token.role))
                       : json(nullptr)},
          {"made_by", text_or_null(token.made_by_name)},
          {"note", token.note},
          {"created", time_json(token.created_ms)},
          {"expires", time_json(token.expires_ms)},
          {"used", time_json(token.used_ms)}};
}

json machine_json(const catalog::Machine& machine) {
  json latest = nullptr;
  if (machine.latest_point) {
    latest = {{"id", machine.latest_point->hex()}, {"time", time_json(machine.latest_ms)}};
  }
  return {{"name", machine.name},
          {"id", machine.id.hex()},
          {"tenant", machine.tenant.text()},
          {"host", text_or_null(machine.host_name)},
          {"created", time_json(machine.created_ms)},
          {"point_count", machine.point_count},
          {"latest_point", latest},
          {"size", machine.size}};
}

json job_json(const catalog::Job& job) {
  json error = nullptr;
  if (job.error_code)
    error = {{"code", base::error_code_name(*job.error_code)}, {"message", job.error_message}};
  json duration = nullptr;
  if (job.started_ms) {
    uint64_t end = job.ended_ms.value_or(base::now_ms());
    duration = end > *job.started_ms ? end - *job.started_ms : 0;
  }
  json rate = nullptr, left = nullptr;
  if (job.state == catalog::JobState::running && duration.is_number() && job.progress.done > 0) {
    double seconds = std::max(1.0, duration.get<double>()) / 1000;
    double speed = static_cast<double>(job.progress.done) / seconds;
    rate = static_cast<uint64_t>(speed);
    if (job.progress.total >= job.progress.done)
      left = static_cast<uint64_t>(static_cast<double>(job.progress.total - job.progress.done) /
                                   speed * 1000);
  }
  json figures = base::find_json(job.figures, base::kOwnJsonLimits).value_or(json());
  return {{"id", job.id.number},
          {"kind", job.kind},
          {"tenant", job.tenant.text()},
          {"subject", job.subject},
          {"requested_by", text_or_null(job.requested_by)},
          {"node", job.node.is_zero() ? json(nullptr) : json(job.node.hex())},
          {"state", catalog::job_state_name(job.state)},
          {"progress",
           {{"done", job.progress.done},
            {"total", job.progress.total},
            {"phase", job.progress.phase},
            {"rate", rate},
            {"left_ms", left}}},
          {"figures", figures.is_object() ? figures : json::object()},
          {"error", error},
          {"created", time_json(job.created_ms)},
          {"started", time_json(job.started_ms)},
          {"ended", time_json(job.ended_ms)},
          {"duration_ms", duration}};
}

json job_log_line_json(const catalog::JobLogLine& line) {
  return {{"sequence", line.sequence}, {"time", time_json(line.time_ms)}, {"text", line.text}};
}

json point_row_json(const catalog::PointRow& row) {
  return {{"id", row.summary.id.hex()},
          {"machine", row.summary.machine_name},
          {"tenant", row.tenant.text()},
          {"time", time_json(row.summary.time_ms)},
          {"host_time", time_json(row.summary.dates.host_time_ms)},
          {"clock_note", text_or_null(images::clock_note(row.summary.time_ms, row.summary.dates))},
          {"size", row.summary.size},
          {"consistency", images::consistency_name(row.summary.consistency)},
          {"parent", parent_json(row.summary.lineage)},
          {"origin", origin_json(row.summary.lineage)},
          {"damage_found", time_json(row.damage_found_ms)}};
}

json definition_json(const images::MachineDefinition& definition) {
  json cards = json::array();
  for (const images::NetworkCard& card : definition.network_cards) {
    cards.push_back({{"mac", text_or_null(card.mac)},
                     {"model", text_or_null(card.model)},
                     {"network", text_or_null(card.network)}});
  }
  json files = json::array();
  for (const auto& [name, content] : definition.state_files) {
    files.push_back({{"name", name}, {"size", content.size()}});
  }
  return {{"firmware", images::firmware_name(definition.firmware)},
          {"cpu_count", definition.cpu_count},
          {"memory_size", definition.memory_size},
          {"network_cards", cards},
          {"state_files", files},
          {"has_libvirt_xml", !definition.libvirt_xml.empty()}};
}

json disks_json(const std::vector<images::PointDisk>& disks) {
  json list = json::array();
  for (const images::PointDisk& disk : disks)
    list.push_back({{"name", disk.name}, {"size", disk.size}});
  return list;
}

json point_json(const images::Point& point) {
  uint64_t size = 0;
  for (const images::PointDisk& disk : point.disks) size += disk.size;
  const images::SyncFigures& figures = point.figures;
  return {{"id", point.id.hex()},
          {"machine", point.machine_name},
          {"host", text_or_null(point.host)},
          {"time", time_json(point.time_ms)},
          {"host_time", time_json(point.dates.host_time_ms)},
          {"clock_note", text_or_null(images::clock_note(point.time_ms, point.dates))},
          {"size", size},
          {"consistency", images::consistency_name(point.consistency)},
          {"parent", parent_json(point.lineage)},
          {"origin", origin_json(point.lineage)},
          {"disks", disks_json(point.disks)},
          {"definition", definition_json(point.definition)},
          {"figures",
           {{"bytes_read", figures.bytes_read},
            {"bytes_sent", figures.bytes_sent},
            {"bytes_stored", figures.bytes_stored},
            {"duration_ms", figures.duration_ms},
            {"frozen_ms", figures.frozen_ms}}},
          {"note", text_or_null(point.note)}};
}

json boot_mark_json(const std::optional<images::BootMark>& mark) {
  if (!mark) return nullptr;
  return {{"verdict", mark->verdict},
          {"reason", mark->reason},
          {"tested", time_json(mark->tested_ms)},
          {"recovery_ms", mark->recovery_ms ? json(*mark->recovery_ms) : json(nullptr)},
          {"appliance", mark->appliance_name.empty() ? mark->appliance : mark->appliance_name}};
}

json store_figures_json(const images::StoreFigures& figures) {
  return {{"machine_count", figures.machine_count}, {"point_count", figures.point_count},
          {"logical_size", figures.logical_size},   {"chunk_count", figures.chunk_count},
          {"live_size", figures.live_size},         {"pack_size", figures.pack_size},
          {"pack_count", figures.pack_count}};
}

json console_json(const boot::VmConsole& console) {
  return {{"host", console.host},
          {"vnc_port", console.vnc_port},
          {"websocket_port", console.websocket_port},
          {"password", console.password}};
}

json boot_check_json(const boot::BootCheck& check) {
  const boot::MachinePlan& plan = check.plan;
  json disks = json::array(), cards = json::array();
  for (const boot::GuestDisk& disk : plan.disks) {
    disks.push_back({{"name", disk.name},
                     {"bus", boot::disk_bus_name(disk.bus)},
                     {"target", disk.target},
                     {"boot_order", disk.boot_order}});
  }
  for (const boot::GuestCard& card : plan.cards) {
    std::string mode = boot::network_choice_name(
        {card.mode, card.mode == boot::NetworkMode::bridge ? card.source : ""});
    cards.push_back({{"mac", card.mac},
                     {"model", card.model},
                     {"network", mode},
                     {"source", text_or_null(card.source)}});
  }
  return {{"machine", check.machine_name},
          {"possible", plan.reasons.empty()},
          {"reasons", plan.reasons},
          {"notes", plan.notes},
          {"machine_type", plan.machine_type},
          {"firmware", images::firmware_name(plan.firmware)},
          {"secure_boot", plan.secure_boot},
          {"uefi_variables", !plan.uefi_variables.empty()},
          {"tpm", !plan.has_tpm            ? "none"
                  : plan.tpm_state.empty() ? "new"
                                           : "kept"},
          {"accelerator", boot::accelerator_name(check.accelerator.accelerator)},
          {"cpu_count", plan.cpu_count},
          {"memory_size", plan.memory_size},
          {"disks", disks},
          {"network_cards", cards}};
}

json boot_json(const boot::InstantVm& vm) {
  json disks = json::array();
  for (const boot::VmDisk& disk : vm.disks) {
    disks.push_back({{"name", disk.name},
                     {"size", disk.size},
                     {"overlay_path", disk.overlay_path},
                     {"overlay_size", disk.overlay_size}});
  }
  json cards = json::array();
  for (const boot::VmNetworkCard& card : vm.network_cards) {
    // A bridge's name follows a colon, as in `boot start --network bridge:br0`.
    std::string mode = boot::network_choice_name(
        {card.mode, card.mode == boot::NetworkMode::bridge ? card.source : ""});
    cards.push_back({{"mac", card.mac}, {"network", mode}, {"source", text_or_null(card.source)}});
  }
  return {{"id", vm.id.hex()},
          {"machine", vm.machine_name},
          {"tenant", vm.tenant.text()},
          {"requested_by", text_or_null(vm.requested_by)},
          {"node", vm.node.is_zero() ? json(nullptr) : json(vm.node.hex())},
          {"point", vm.point.hex()},
          {"purpose", boot::purpose_name(vm.purpose)},
          {"state", boot::vm_state_name(vm.state)},
          {"problem", text_or_null(vm.problem)},
          {"started", time_json(vm.started_ms)},
          {"start_duration_ms", vm.start_duration_ms},
          {"domain", vm.domain_name},
          {"accelerator", boot::accelerator_name(vm.accelerator)},
          {"firmware", images::firmware_name(vm.firmware)},
          {"cpu_count", vm.cpu_count},
          {"memory_size", vm.memory_size},
          {"disks", disks},
          {"network_cards", cards},
          {"pulling", vm.is_pulling},
          {"local", vm.is_local},
          {"serial_log_path", vm.serial_log_path},
          {"restart", boot::restart_policy_name(vm.restart)},
          {"timeline", boot::timeline_name(vm.timeline)},
          {"restart_count", vm.restart_count},
          {"restarted", time_json(vm.restarted_ms)},
          {"notes", vm.notes}};
}

}  // namespace appliance::api
