// The JSON of everything the API returns. docs/api/openapi.yaml is normative for the fields. Pure
// functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/model/instant_vm.h"
#include "appliance/catalog/proved_recovery.h"
#include "appliance/catalog/records.h"
#include "appliance/schedule/scheduler.h"
#include "images/point.h"
#include "images/point_marks.h"
#include "images/store/store_writer.h"

namespace appliance::catalog {
struct Hold;
struct Verification;
}  // namespace appliance::catalog

namespace appliance::api {

nlohmann::json text_or_null(const std::string& text);  // empty: null
nlohmann::json host_json(const catalog::Host& host);
nlohmann::json token_json(const catalog::Token& token);
nlohmann::json machine_json(const catalog::Machine& machine);
nlohmann::json standing_json(const schedule::Standing& standing);
nlohmann::json recovery_json(const catalog::ProvedRecovery& proved);
nlohmann::json verification_json(const catalog::Verification& seen);  // without its evidence
nlohmann::json alert_json(const catalog::Alert& alert);
nlohmann::json job_json(const catalog::Job& job);
nlohmann::json job_log_line_json(const catalog::JobLogLine& line);
nlohmann::json point_row_json(const catalog::PointRow& row);
nlohmann::json hold_json(const catalog::Hold& hold);
nlohmann::json point_json(const images::Point& point);  // without `tested_elsewhere`
nlohmann::json boot_mark_json(const std::optional<images::BootMark>& mark);
nlohmann::json definition_json(const images::MachineDefinition& definition);
nlohmann::json disks_json(const std::vector<images::PointDisk>& disks);
nlohmann::json store_figures_json(const images::StoreFigures& figures);
nlohmann::json boot_json(const boot::InstantVm& vm);
nlohmann::json boot_check_json(const boot::BootCheck& check);
nlohmann::json console_json(const boot::VmConsole& console);  // including its password

}  // namespace appliance::api
