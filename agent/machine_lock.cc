#include "agent/machine_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "agent/state_layout.h"
#include "base/error.h"

namespace agent {

MachineLock::MachineLock(const std::string& state_directory, const std::string& machine_name,
                         std::chrono::milliseconds patience) {
  constexpr auto kPoll = std::chrono::milliseconds(50);
  std::string path = lock_path(state_directory, machine_name);
  fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd_) throw base::system_error(errno, "cannot open " + path);
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      throw base::system_error(errno, "cannot lock " + path);
    if (std::chrono::steady_clock::now() > deadline) {
      throw base::Error(base::ErrorCode::busy,
                        "another sync of machine " + machine_name + " is running");
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace agent
