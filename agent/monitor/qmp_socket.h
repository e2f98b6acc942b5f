// A connection to a QEMU's monitor socket (-chardev socket,…,server=on -mon mode=control), and to
// its guest agent's. Either serves one client at a time: whoever connects meanwhile waits. Proxmox
// VE's own programs do so every few seconds, so a connection is held for one step of a sync and not
// for its whole duration. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "agent/monitor/monitor.h"
#include "base/unique_fd.h"

namespace agent::monitor {

// How long another program may hold the socket before a step gives up.
constexpr auto kSocketPatience = std::chrono::seconds(20);
// The longest that QEMU may take for one command.
constexpr auto kCommandTimeout = std::chrono::seconds(60);

// Lines of JSON on a unix socket, bounded in size and time.
class LineSocket {
 public:
  // Throws not_found if nothing listens there, unauthorized if it may not be used.
  explicit LineSocket(const std::string& path);

  void send(const std::string& text);
  // The next line, without its end. Throws unavailable at the deadline or the stream's end, corrupt
  // for a line that is too long.
  std::string line(std::chrono::steady_clock::time_point deadline);
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  base::UniqueFd fd_;
  std::string buffer_;
};

class QmpSocket : public Monitor {
 public:
  // Returns when QEMU listens to this connection. Throws not_found (no QEMU), busy (another program
  // holds it), corrupt (something that is no monitor).
  explicit QmpSocket(const std::string& path);

  using Monitor::execute;
  nlohmann::json execute(const std::string& command, const nlohmann::json& arguments) override;

  // Of the QEMU that listens, as the kernel knows it.
  pid_t pid() const { return pid_; }
  uid_t uid() const { return uid_; }
  gid_t gid() const { return gid_; }

 private:
  LineSocket socket_;
  pid_t pid_ = -1;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

// The guest agent of a machine, at its own socket. What answers is in the guest, and hostile.
class GuestAgentSocket {
 public:
  // Returns when an agent answers. Throws unavailable.
  explicit GuestAgentSocket(const std::string& path);

  void freeze();  // at most kAgentTimeout
  void thaw();    // no error if nothing is frozen
  bool frozen();

 private:
  nlohmann::json call(const std::string& command);

  LineSocket socket_;
};

}  // namespace agent::monitor
