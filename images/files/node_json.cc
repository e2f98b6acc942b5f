#include "images/files/node_json.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "images/files/name_text.h"

namespace images::files {
namespace {

using nlohmann::json;

json time_json(const FileTime& time) {
  std::string text = time_text_of(time);
  return text.empty() ? json(nullptr) : json(text);
}

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

}  // namespace

std::string_view kind_name(NodeKind kind) {
  static constexpr std::array<std::string_view, kNodeKindCount> kNames{
      "file", "folder", "link", "character-device", "block-device", "fifo", "socket", "unknown"};
  return kNames[static_cast<size_t>(kind)];
}

std::string time_text_of(const FileTime& time) {
  if (time == FileTime{}) return "";
  auto seconds = static_cast<std::time_t>(time.seconds);
  std::tm parts{};
  constexpr int64_t kFarthest = 253402300799;  // the end of the year 9999
  if (time.seconds > kFarthest || time.seconds < -62135596800 ||
      ::gmtime_r(&seconds, &parts) == nullptr)
    return fmt::format("@{}", time.seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     time.nanoseconds);
}

json node_json(const std::string& name, const Node& node) {
  json fields{{"name", text_of_name(name)},
              {"kind", kind_name(node.kind)},
              {"size", node.size},
              {"stored", node.stored},
              {"mode", fmt::format("{:04o}", node.mode)},
              {"owner", node.has_owner ? json(node.owner) : json(nullptr)},
              {"group", node.has_owner ? json(node.group) : json(nullptr)},
              {"link_count", node.link_count},
              {"modified", time_json(node.modified)},
              {"changed", time_json(node.changed)},
              {"accessed", time_json(node.accessed)},
              {"born", time_json(node.born)}};
  if (node.kind == NodeKind::link) fields["target"] = text_of_name(node.target);
  if (node.kind == NodeKind::character_device || node.kind == NodeKind::block_device)
    fields["device"] = fmt::format("{}:{}", node.device_major, node.device_minor);
  if (node.is_volume) fields["subvolume"] = true;
  return fields;
}

json found_json(const FoundFileSystems& found) {
  json volumes = json::array(), unread = json::array();
  for (const FoundFileSystem& each : found.file_systems) {
    volumes.push_back({{"name", each.name},
                       {"type", each.type},
                       {"size", each.size},
                       {"label", text_or_null(each.label)},
                       {"uuid", text_or_null(each.uuid)},
                       {"origin", text_or_null(each.origin)},
                       {"notes", each.notes}});
  }
  for (const UnreadVolume& each : found.unread)
    unread.push_back({{"name", each.name}, {"reason", each.why}, {"needs_key", each.needs_key}});
  return {{"volumes", volumes}, {"unread", unread}, {"notes", found.notes}, {"seen", found.seen}};
}

json change_json(const Change& change) {
  json fields{{"change", change_name(change.kind)}, {"path", text_of_name(change.path)}};
  if (!change.what.empty()) fields["what"] = change.what;
  if (change.before) fields["before"] = node_json(change.path, *change.before);
  if (change.after) fields["after"] = node_json(change.path, *change.after);
  if (!change.words.empty()) fields["problem"] = change.words;
  for (const char* side : {"before", "after"}) {
    if (fields.contains(side)) fields[side].erase("name");
  }
  return fields;
}

}  // namespace images::files
