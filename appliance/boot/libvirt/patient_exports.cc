#include "appliance/boot/libvirt/patient_exports.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr const char* kNodePrefix = "muletto-export-";

json ask(const Monitor& monitor, const std::string& command, const json& arguments) {
  json request{{"execute", command}};
  if (!arguments.is_null()) request["arguments"] = arguments;
  json answer = json::parse(monitor(request.dump()), nullptr, false);
  if (answer.is_discarded() || !answer.is_object())
    throw Error(ErrorCode::io, "QEMU's answer is no JSON");
  if (answer.contains("error")) {
    throw Error(ErrorCode::io,
                fmt::format("QEMU refuses {}: {}", command, answer["error"].value("desc", "")));
  }
  return answer.value("return", json());
}

}  // namespace

void reopen_patiently(const std::vector<BackingExport>& exports, const Monitor& monitor) {
  json nodes = ask(monitor, "query-named-block-nodes", {{"flat", true}});
  int number = 0;
  for (const BackingExport& each : exports) {
    // QEMU's own name for a node on this export.
    std::string file = fmt::format("nbd+unix:///{}?socket={}", each.export_name, each.socket_path);
    const json* raw = nullptr;
    for (const json& node : nodes) {
      if (node.value("drv", "") == "raw" && node.value("file", "") == file) raw = &node;
    }
    if (raw == nullptr)
      throw Error(ErrorCode::not_found, fmt::format("QEMU has no connection to {}", file));
    std::string patient = fmt::format("{}{}", kNodePrefix, number++);
    ask(monitor, "blockdev-add",
        {{"node-name", patient},
         {"driver", "nbd"},
         {"server", {{"type", "unix"}, {"path", each.socket_path}}},
         {"export", each.export_name},
         {"read-only", true},
         {"discard", "unmap"},
         {"reconnect-delay", each.patience_s}});
    json reopened{{"node-name", raw->value("node-name", "")},
                  {"driver", "raw"},
                  {"read-only", true},
                  {"file", patient}};
    ask(monitor, "blockdev-reopen", {{"options", json::array({reopened})}});
  }
}

void remove_unused(const Monitor& monitor) {
  for (const json& node : ask(monitor, "query-named-block-nodes", {{"flat", true}})) {
    std::string name = node.value("node-name", "");
    if (!name.starts_with(kNodePrefix)) continue;
    try {
      ask(monitor, "blockdev-del", {{"node-name", name}});
    } catch (const Error& error) {
      base::log().warn("{}", error.message());
    }
  }
}

}  // namespace appliance::boot::libvirt
