// Child processes: started with a plain argument list (never through a shell), awaited with a
// deadline, ended by their own pid and never by name. Not thread-safe.
//
// A child inherits only what it is given by name: the three standard streams and `inherited_fds`.
// All other descriptors are closed before it runs, including those that another thread or a library
// opened without O_CLOEXEC. No signal is blocked or ignored in it. It keeps the environment, the
// umask and (unless it is orphaned) the working folder.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/file_jail.h"
#include "base/unique_fd.h"

namespace base {

enum class Lifetime {
  with_parent,  // gets SIGKILL when the starting thread's process dies, and when the object is
                // destroyed
  independent,  // keeps running: own session, not ended by the destructor
  // Independent, and a child of init before it runs its first instruction, for programs that
  // request to die with their parent; the object refers to an intermediate process, which ends at
  // once.
  orphaned,
};

struct SubprocessOptions {
  Lifetime lifetime = Lifetime::with_parent;
  std::string output_path;  // standard output and error are appended here; empty: inherited
  std::vector<int> inherited_fds{};  // kept open in the child, under the same numbers
  // The program sees only the files of this jail, which must outlive the call; null: no jail. Only
  // with Lifetime::with_parent.
  const FileJail* jail = nullptr;
  // A listening socket, handed over as systemd does (sd_listen_fds(3)): descriptor 3, and
  // LISTEN_FDS and LISTEN_PID in the environment; -1: none.
  int listening_fd = -1;
};

class Subprocess {
 public:
  // Throws not_found if the program is not in PATH.
  Subprocess(const std::vector<std::string>& command, const SubprocessOptions& options = {});
  Subprocess(Subprocess&&) noexcept = default;
  Subprocess& operator=(Subprocess&&) = delete;
  ~Subprocess();

  pid_t pid() const { return pid_; }
  int descriptor() const { return pidfd_.get(); }  // readable once the process has ended
  // The exit status (128 + signal for a killed one) once it has ended; waits at most `timeout`.
  std::optional<int> wait_for(std::chrono::milliseconds timeout);
  void signal(int number);

 private:
  pid_t pid_ = -1;
  Lifetime lifetime_;
  UniqueFd pidfd_;
  std::optional<int> status_;
};

struct CommandResult {
  int status = 0;      // as Subprocess::wait_for
  std::string output;  // standard output, at most 16 MiB
  std::string errors;  // standard error, at most 1 MiB
};

// Runs a command to its end, with /dev/null as its input, in a jail if one is given. Throws
// unavailable after `timeout` (the child is killed, and everything it started unless that left its
// session); a non-zero status is not an error here. The child runs in a session of its own. If it
// leaves a process in the background with its output open, that is waited for one second.
CommandResult run_command(const std::vector<std::string>& command,
                          std::chrono::milliseconds timeout = std::chrono::minutes(10),
                          const FileJail* jail = nullptr);

// Like run_command, but throws io with the command's error output if its exit status is not 0.
std::string run_checked(const std::vector<std::string>& command,
                        std::chrono::milliseconds timeout = std::chrono::minutes(10));

}  // namespace base
