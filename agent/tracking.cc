#include "agent/tracking.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/state_layout.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace agent {
namespace {

constexpr uint64_t kMaxRecordSize = 1u << 20;
constexpr int kRecordVersion = 2;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

DiskDecision full(std::string reason) { return {false, std::move(reason)}; }

TrackingRecord parse_record(std::string_view text, std::string* machine_name = nullptr) {
  try {
    auto json = base::parse_json(text, "the record");
    if (json.at("version").get<int>() != kRecordVersion) {
      throw base::Error(base::ErrorCode::unsupported, "it was written by another version");
    }
    TrackingRecord record;
    record.point = images::PointId::from_hex(json.at("point").get<std::string>());
    record.origin = images::PointId::from_hex(json.at("origin").get<std::string>());
    record.domain_uuid = json.at("domain_uuid");
    record.checkpoint = json.at("checkpoint");
    record.disks = json.at("disks").get<std::vector<std::string>>();
    if (json.contains("monitor")) {
      const auto& monitor = json["monitor"];
      record.monitor = {monitor.at("bitmap").get<std::string>(),
                        monitor.at("witness").get<std::string>(),
                        monitor.at("files").get<std::map<std::string, std::string>>()};
    }
    if (machine_name != nullptr) *machine_name = json.at("machine");
    return record;
  } catch (const nlohmann::json::exception& error) {
    throw base::Error(base::ErrorCode::corrupt, error.what());
  }
}

}  // namespace

namespace {

// Of a record that is the machine's: its checkpoint and its bitmaps were made at the last point.
DiskDecision decide_by_monitor(const TrackingEvidence& evidence, const TrackedDisk& disk) {
  auto obstacle = evidence.monitor_obstacles.find(disk.name);
  if (!evidence.record->monitor || obstacle == evidence.monitor_obstacles.end())
    return full("the disk was not tracked at the last point");
  if (!obstacle->second.empty()) return full(obstacle->second);
  return {true, "", evidence.record->point, ""};
}

DiskDecision decide_by_record(const TrackingEvidence& evidence, const TrackedDisk& disk) {
  if (!evidence.record)
    return full("this agent has no record of what changed since the last point");
  const TrackingRecord& record = *evidence.record;
  if (record.point != evidence.last->id) {
    return full(fmt::format("tracking continues from point {}, but the last one is {}",
                            record.point.hex(), evidence.last->id.hex()));
  }
  if (record.domain_uuid != evidence.domain_uuid)
    return full("the domain was replaced by another of its name");
  if (disk.by_monitor) return decide_by_monitor(evidence, disk);
  if (!contains(record.disks, disk.name)) return full("the disk was not tracked at the last point");
  if (!evidence.checkpoint_exists) return full("the checkpoint of the last point was deleted");
  if (!contains(evidence.checkpoint_disks, disk.name))
    return full("the last checkpoint does not have the disk");
  return {true, "", record.origin, record.checkpoint};
}

}  // namespace

bool can_track(std::string_view format) { return format == "qcow2"; }

DiskDecision decide(const TrackingEvidence& evidence, const TrackedDisk& disk) {
  if (!evidence.last) return full("it is the machine's first point");
  auto in_last = std::find_if(evidence.last->disks.begin(), evidence.last->disks.end(),
                              [&](const BaseDisk& last) { return last.name == disk.name; });
  if (in_last == evidence.last->disks.end()) return full("the disk is new");
  if (in_last->size != disk.size) {
    return full(fmt::format("the disk was resized from {} to {} bytes", in_last->size, disk.size));
  }
  if (evidence.full_wanted) return full("a full read was asked for");
  if (!disk.obstacle.empty()) return full(disk.obstacle);
  if (!can_track(disk.format) && !disk.by_monitor) {
    return full(
        fmt::format("a {} disk cannot hold a record of its changes; qcow2 can", disk.format));
  }
  DiskDecision decision = decide_by_record(evidence, disk);
  if (!decision.incremental && evidence.origin && contains(evidence.origin_disks, disk.name))
    return {true, "", evidence.origin->point, evidence.origin->checkpoint};
  return decision;
}

std::string full_read_note(const std::vector<std::pair<std::string, DiskDecision>>& decisions) {
  std::vector<std::pair<std::string, std::string>> reasons;  // reason, names
  for (const auto& [name, decision] : decisions) {
    if (decision.incremental) continue;
    auto same = std::find_if(
        reasons.begin(), reasons.end(),
        [&, &reason = decision.reason](const auto& entry) { return entry.first == reason; });
    if (same == reasons.end()) reasons.emplace_back(decision.reason, name);
    else same->second += ", " + name;
  }
  std::string note;
  for (const auto& [reason, names] : reasons) {
    if (!note.empty()) note += "; ";
    note += fmt::format("{} read in full: {}", names, reason);
  }
  return note;
}

std::optional<TrackingRecord> load_tracking(const std::string& state_directory,
                                            std::string_view machine_name) {
  base::FileSystem& files = base::real_file_system();
  std::string path = tracking_path(state_directory, machine_name);
  if (!files.exists(path)) return std::nullopt;
  try {
    return parse_record(base::as_text(base::read_file(files, path, kMaxRecordSize)));
  } catch (const base::Error& error) {
    base::log().warn("the record of changes {} is not used: {}", path, error.message());
    return std::nullopt;
  }
}

void save_tracking(const std::string& state_directory, std::string_view machine_name,
                   const TrackingRecord& record) {
  nlohmann::json json{{"version", kRecordVersion},
                      {"machine", machine_name},
                      {"point", record.point.hex()},
                      {"origin", record.origin.hex()},
                      {"domain_uuid", record.domain_uuid},
                      {"checkpoint", record.checkpoint},
                      {"disks", record.disks}};
  if (record.monitor) {
    json["monitor"] = {{"bitmap", record.monitor->bitmap},
                       {"witness", record.monitor->witness},
                       {"files", record.monitor->files}};
  }
  base::write_file_durably(base::real_file_system(), tracking_path(state_directory, machine_name),
                           base::as_bytes(base::dump_text(json, 2) + "\n"));
}

void forget_tracking(const std::string& state_directory, std::string_view machine_name) {
  base::FileSystem& files = base::real_file_system();
  std::string path = tracking_path(state_directory, machine_name);
  if (!files.exists(path)) return;
  files.remove(path);
  files.sync_directory(base::parent_path(path));
}

std::vector<std::pair<std::string, TrackingRecord>> list_tracking(
    const std::string& state_directory) {
  base::FileSystem& files = base::real_file_system();
  std::vector<std::pair<std::string, TrackingRecord>> records;
  std::string directory = base::parent_path(tracking_path(state_directory, ""));
  if (!files.exists(directory)) return records;
  for (const std::string& name : files.list(directory)) {
    if (!name.ends_with(".tracking")) continue;
    try {
      std::string machine;
      std::string path = base::join_path(directory, name);
      auto record =
          parse_record(base::as_text(base::read_file(files, path, kMaxRecordSize)), &machine);
      records.emplace_back(machine, record);
    } catch (const base::Error& error) {
      base::log().warn("{}: {}", name, error.message());
    }
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return records;
}

}  // namespace agent
