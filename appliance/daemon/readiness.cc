#include "appliance/daemon/readiness.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/process.h"
#include "base/unique_fd.h"

namespace appliance::daemon {

void write_ready_file(const std::string& path, const Readiness& readiness) {
  nlohmann::json content{{"port", readiness.port},
                         {"pid", ::getpid()},
                         {"fingerprint", readiness.fingerprint},
                         {"api_socket", readiness.api_socket_path},
                         {"version", MULETTO_VERSION}};
  base::write_file_durably(base::real_file_system(), path,
                           base::as_bytes(base::dump_text(content) + "\n"));
}

void notify_service_manager(std::string_view state) {
  // Removed from the environment, so that no child process can notify in place of this daemon.
  static const std::string path = base::take_environment("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  size_t length = path.size();
  if (length == 0 || length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path.data(), length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  ssize_t sent = ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                          reinterpret_cast<const sockaddr*>(&address), size);
  if (sent < 0) base::log().warn("cannot notify the service manager: {}", std::strerror(errno));
}

}  // namespace appliance::daemon
