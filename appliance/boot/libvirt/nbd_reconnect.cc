#include "appliance/boot/libvirt/nbd_reconnect.h"

#include <fmt/format.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"

namespace appliance::boot::libvirt {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr const char* kNodePrefix = "muletto-export-";
constexpr base::JsonLimits kAnswerLimits{.size = 16 << 20};

json ask(const Monitor& monitor, const std::string& command, const json& arguments) {
  json request{{"execute", command}};
  if (!arguments.is_null()) request["arguments"] = arguments;
  // A guest may have taken over its QEMU: QEMU's answers are untrusted input, too.
  std::optional<json> answer = base::find_json(monitor(request.dump()), kAnswerLimits);
  if (!answer || !answer->is_object()) throw Error(ErrorCode::io, "QEMU's answer is not JSON");
  if (const json* error = base::find_field(*answer, "error")) {
    throw Error(ErrorCode::io,
                fmt::format("QEMU refuses {}: {}", command,
                            base::clean_text(base::find_text(*error, "desc").value_or(""), 300)));
  }
  const json* result = base::find_field(*answer, "return");
  return result == nullptr ? json() : *result;
}

std::string text_in(const json& node, const char* name) {
  return base::find_text(node, name).value_or("");
}

}  // namespace

void enable_reconnect(const std::vector<BackingExport>& exports, const Monitor& monitor) {
  json nodes = ask(monitor, "query-named-block-nodes", {{"flat", true}});
  int number = 0;
  for (const BackingExport& each : exports) {
    // QEMU's own name for a node on this export.
    std::string file = fmt::format("nbd+unix:///{}?socket={}", each.export_name, each.socket_path);
    const json* raw = nullptr;
    for (const json& node : nodes) {
      if (text_in(node, "drv") == "raw" && text_in(node, "file") == file) raw = &node;
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
         {"reconnect-delay", each.reconnect_delay_s}});
    json reopened{{"node-name", text_in(*raw, "node-name")},
                  {"driver", "raw"},
                  {"read-only", true},
                  {"file", patient}};
    ask(monitor, "blockdev-reopen", {{"options", json::array({reopened})}});
  }
}

void remove_unused(const Monitor& monitor) {
  for (const json& node : ask(monitor, "query-named-block-nodes", {{"flat", true}})) {
    std::string name = text_in(node, "node-name");
    if (!name.starts_with(kNodePrefix)) continue;
    try {
      ask(monitor, "blockdev-del", {{"node-name", name}});
    } catch (const Error& error) {
      base::log().warn("{}", error.message());
    }
  }
}

}  // namespace appliance::boot::libvirt
