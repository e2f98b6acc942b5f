#include "agent/monitor/disk_bitmaps.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"

namespace agent::monitor {
namespace {

using nlohmann::json;

constexpr size_t kMaxNodes = 4096;
constexpr size_t kMaxBitmaps = 1024;  // of one node
constexpr uint32_t kGranularity = 64 << 10;

const json& bounded_list(const json& value, size_t limit, const char* what) {
  static const json kNone = json::array();
  if (!value.is_array()) return kNone;
  if (value.size() <= limit) return value;
  throw base::Error(base::ErrorCode::unsupported,
                    fmt::format("QEMU tells of {} {}, more than {}", value.size(), what, limit));
}

std::string text_or_empty(const json& object, const char* name) {
  return base::find_text(object, name).value_or("");
}

json bitmap_of(const std::string& node, const std::string& name) {
  return {{"node", node}, {"name", name}};
}

}  // namespace

std::vector<Device> devices(Monitor& monitor) {
  std::vector<Device> found;
  json answer = monitor.execute("query-block");
  for (const json& each : bounded_list(answer, kMaxNodes, "disks")) {
    const json* inserted = base::find_field(each, "inserted");
    if (inserted == nullptr) continue;
    Device device;
    device.drive = text_or_empty(each, "device");
    device.qdev = text_or_empty(each, "qdev");
    device.node = text_or_empty(*inserted, "node-name");
    device.format = text_or_empty(*inserted, "drv");
    device.file = text_or_empty(*inserted, "file");
    device.read_only = base::find_flag(*inserted, "ro").value_or(false);
    device.removable = base::find_flag(each, "removable").value_or(false);
    if (const json* image = base::find_field(*inserted, "image"))
      device.size = base::find_natural(*image, "virtual-size").value_or(0);
    if (!device.node.empty()) found.push_back(std::move(device));
  }
  return found;
}

std::vector<Node> nodes(Monitor& monitor) {
  std::vector<Node> found;
  json answer = monitor.execute("query-named-block-nodes", {{"flat", true}});
  for (const json& each : bounded_list(answer, kMaxNodes, "block nodes")) {
    Node node{text_or_empty(each, "node-name"), text_or_empty(each, "file"), {}};
    const json& bitmaps = base::find_list(each, "dirty-bitmaps");
    for (const json& bitmap : bounded_list(bitmaps, kMaxBitmaps, "bitmaps")) {
      node.bitmaps.push_back({text_or_empty(bitmap, "name"),
                              base::find_flag(bitmap, "recording").value_or(false),
                              base::find_flag(bitmap, "inconsistent").value_or(false)});
    }
    if (!node.name.empty()) found.push_back(std::move(node));
  }
  return found;
}

std::string new_bitmap_name() { return kBitmapPrefix + base::to_hex(base::random_array<8>()); }

void add_bitmap(Monitor& monitor, const std::string& node, const std::string& name) {
  json bitmap = bitmap_of(node, name);
  bitmap["granularity"] = kGranularity;
  monitor.execute("block-dirty-bitmap-add", bitmap);
}

void copy_bitmaps(Monitor& monitor, const std::string& node, const std::string& name,
                  const std::vector<std::string>& from) {
  json bitmap = bitmap_of(node, name);
  bitmap["granularity"] = kGranularity;
  bitmap["disabled"] = true;
  json merge{{"node", node}, {"target", name}, {"bitmaps", from}};
  monitor.execute("transaction", {{"actions",
                                   {{{"type", "block-dirty-bitmap-add"}, {"data", bitmap}},
                                    {{"type", "block-dirty-bitmap-merge"}, {"data", merge}}}}});
}

bool remove_bitmaps(Monitor& monitor, const std::vector<std::string>& kept) noexcept {
  bool all = true;
  try {
    for (const Node& node : nodes(monitor)) {
      for (const Bitmap& bitmap : node.bitmaps) {
        bool ours = bitmap.name.starts_with(kBitmapPrefix);
        if (!ours || std::find(kept.begin(), kept.end(), bitmap.name) != kept.end()) continue;
        try {
          monitor.execute("block-dirty-bitmap-remove", bitmap_of(node.name, bitmap.name));
        } catch (const base::Error& error) {
          base::log().warn("bitmap {} of {} stays in QEMU: {}", bitmap.name, node.name,
                           error.message());
          all = false;
        }
      }
    }
  } catch (const std::exception& error) {
    base::log().warn("bitmaps of syncs may stay in QEMU: {}", error.what());
    all = false;
  }
  return all;
}

void export_node(Monitor& monitor, const std::string& node, const std::string& name,
                 const std::string& bitmap) {
  json wanted{
      {"type", "nbd"}, {"id", name}, {"node-name", node}, {"name", name}, {"writable", false}};
  if (!bitmap.empty()) wanted["bitmaps"] = json::array({bitmap});
  monitor.execute("block-export-add", wanted);
}

}  // namespace agent::monitor
