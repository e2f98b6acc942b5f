// QEMU's monitor, as the agent uses it: one command, one answer. Implementations: through libvirt
// (agent/libvirt/domain_monitor.h), and QEMU's own socket (qmp_socket.h). The protocol is QEMU's
// docs/interop/qmp-spec.txt. Not thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace agent::monitor {

class Monitor {
 public:
  virtual ~Monitor() = default;

  // What QEMU returns for a command. Throws io with QEMU's sentence if it refuses; unavailable if
  // it does not answer; whatever the implementation throws if it may not be asked.
  virtual nlohmann::json execute(const std::string& command, const nlohmann::json& arguments) = 0;
  nlohmann::json execute(const std::string& command) {
    return execute(command, nlohmann::json::object());
  }
};

// The message for a command. `arguments` may be empty.
std::string command_text(const std::string& command, const nlohmann::json& arguments);

// The "return" of QEMU's answer. QEMU runs a guest, so its answers are bounded, and read as text
// from outside. Throws as execute().
nlohmann::json result_of(std::string_view answer, const std::string& command);

}  // namespace agent::monitor
