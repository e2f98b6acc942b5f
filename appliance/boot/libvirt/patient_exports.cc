#include "appliance/boot/libvirt/patient_exports.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

json ask(const Monitor& monitor, const std::string& command, const json& arguments) {
  json request{{"execute", command}};
  if (!arguments.is_null()) request["arguments"] = arguments;
  json answer = json::parse(monitor(request.dump()), nullptr, false);
  if (answer.is_discarded() || !answer.is_object()) throw Error(ErrorCode::io, "QEMU's answer is no JSON");
  if (answer.contains("error")) {
    throw Error(ErrorCode::io, fmt::format("QEMU refuses {}: {}", command, answer["error"].value("desc", "")));
  }
  return answer.value("return", json());
}

}  // namespace

void reopen_patiently(const std::vector<BackingExport>& exports, const Monitor& monitor) {
  json nodes = ask(monitor, "query-named-block-nodes", {{"flat", true}});
  for (const BackingExport& each : exports) {
    bool done = false;
    for (const json& node : nodes) {
      std::string file = node.value("file", "");
      // QEMU's own name of such a node: nbd+unix:///vda?socket=/run/…
      if (node.value("drv", "") != "nbd") continue;
      if (file != fmt::format("nbd+unix:///{}?socket={}", each.export_name, each.socket_path)) continue;
      json connection{{"node-name", node.value("node-name", "")},
                      {"driver", "nbd"},
                      {"server", {{"type", "unix"}, {"path", each.socket_path}}},
                      {"export", each.export_name},
                      {"read-only", node.value("ro", true)},
                      {"reconnect-delay", each.patience_s}};
      ask(monitor, "blockdev-reopen", {{"options", json::array({connection})}});
      done = true;
    }
    if (!done) throw Error(ErrorCode::not_found, fmt::format("QEMU has no connection to export {}", each.export_name));
  }
}

}  // namespace appliance::boot::libvirt
