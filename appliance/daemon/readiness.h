// Reports to the starter of the daemon that it serves: through a file for scripts, and through
// systemd's notification socket. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace appliance::daemon {

struct Readiness {
  uint16_t port = 0;
  std::string fingerprint;
  std::string api_socket_path;
};

// {"port", "pid", "fingerprint", "api_socket", "version"}, written all or nothing.
void write_ready_file(const std::string& path, const Readiness& readiness);

// "READY=1", "STOPPING=1" or "WATCHDOG=1" to $NOTIFY_SOCKET, as described in sd_notify(3). Does nothing without
// it; a failure is only logged.
void notify_service_manager(std::string_view state);

}  // namespace appliance::daemon
