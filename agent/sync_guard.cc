#include "agent/sync_guard.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace agent {
namespace {

// Messages on the socket, one byte each.
constexpr char kReady = 'R';     // guard: watching
constexpr char kFreezing = 'F';  // agent: the guest may be frozen from now on; the timeout starts
constexpr char kThawed = 'T';    // agent: it is no longer
constexpr char kInTime = 'y';    // guard's answer to kThawed
constexpr char kTooLate = 'n';   // … it had thawed the guest itself
constexpr char kFinished = 'D';  // agent: nothing to tidy up

constexpr auto kStartTimeout = std::chrono::seconds(20);
constexpr auto kEndTimeout = std::chrono::seconds(60);
constexpr int kThawAttempts = 30;
constexpr auto kThawPause = std::chrono::seconds(1);

// One byte within the timeout (negative: no timeout); none if the other side is gone or sends
// nothing.
std::optional<char> hear(int fd, std::chrono::milliseconds timeout, bool& timed_out) {
  pollfd watched{fd, POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&watched, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  timed_out = ready == 0;
  char word = 0;
  if (ready <= 0 || ::recv(fd, &word, 1, 0) != 1) return std::nullopt;
  return word;
}

// The guard's side.
class Guard {
 public:
  Guard(std::unique_ptr<GuardedMachine> machine, base::UniqueFd socket)
      : machine_(std::move(machine)), socket_(std::move(socket)) {}

  int run() {
    say(kReady);
    while (true) {
      bool timed_out = false;
      auto patience =
          clock_runs_ ? std::chrono::milliseconds(kLongestFreeze) : std::chrono::milliseconds(-1);
      auto word = hear(socket_.get(), patience, timed_out);
      if (timed_out) {
        base::log().warn("{} was frozen for too long: thawing it", machine_->name());
        thaw();
        late_ = true;
        clock_runs_ = false;
        continue;
      }
      if (!word) return tidy_up();
      if (*word == kFinished) return 0;
      if (*word == kFreezing) may_be_frozen_ = clock_runs_ = true;
      if (*word == kThawed) {
        may_be_frozen_ = clock_runs_ = false;
        say(late_ ? kTooLate : kInTime);
      }
    }
  }

 private:
  void say(char word) {
    [[maybe_unused]] ssize_t ignored = ::send(socket_.get(), &word, 1, MSG_NOSIGNAL);
  }

  void thaw() {
    for (int attempt = 0; attempt < kThawAttempts; ++attempt) {
      try {
        machine_->thaw();
        return;
      } catch (const base::Error& error) {
        base::log().warn("{}", error.message());
        if (!machine_->running()) return;
      }
      std::this_thread::sleep_for(kThawPause);
    }
  }

  int tidy_up() {
    base::log().warn("the sync of {} died: cleaning up", machine_->name());
    if (may_be_frozen_) {
      thaw();
      // The dead agent's freeze may still have been on its way through libvirt when we thawed.
      std::this_thread::sleep_for(kThawPause);
      thaw();
    }
    machine_->remove_leftovers();
    return 0;
  }

  std::unique_ptr<GuardedMachine> machine_;
  base::UniqueFd socket_;
  bool may_be_frozen_ = false;
  bool clock_runs_ = false;
  bool late_ = false;
};

}  // namespace

SyncGuard::SyncGuard(const std::vector<std::string>& machine, int lock_fd) {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw base::system_error(errno, "cannot make a socket");
  }
  socket_.reset(ends[0]);
  base::UniqueFd theirs(ends[1]);
  std::vector<std::string> command{"/proc/self/exe", kGuardWord, std::to_string(theirs.get())};
  command.insert(command.end(), machine.begin(), machine.end());
  base::SubprocessOptions options{.lifetime = base::Lifetime::independent,
                                  .inherited_fds = {theirs.get(), lock_fd}};
  process_ = std::make_unique<base::Subprocess>(command, options);
  theirs.reset();
  bool timed_out = false;
  auto word = hear(socket_.get(), kStartTimeout, timed_out);
  if (word != kReady) {
    throw base::Error(base::ErrorCode::unavailable, "the guard of the sync did not start");
  }
}

SyncGuard::~SyncGuard() {
  socket_.reset();
  if (process_) process_->wait_for(kEndTimeout);
}

void SyncGuard::say(char word) {
  if (::send(socket_.get(), &word, 1, MSG_NOSIGNAL) == 1) return;
  throw base::Error(base::ErrorCode::unavailable, "the guard of the sync has died");
}

void SyncGuard::about_to_freeze() { say(kFreezing); }

bool SyncGuard::thawed() {
  say(kThawed);
  bool timed_out = false;
  return hear(socket_.get(), kStartTimeout, timed_out) == kInTime;
}

void SyncGuard::finished() {
  say(kFinished);
  process_->wait_for(kEndTimeout);
}

int run_sync_guard(int argc, char** argv, const GuardedMachineMaker& make) {
  constexpr int kFirstWord = 3;
  if (argc <= kFirstWord) return 2;
  // A terminal's Ctrl-C and a service's stop reach the whole process group; the guard ends after
  // the agent.
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  base::start_log("muletto-agent guard", "info");
  try {
    int fd = -1;
    std::string_view number(argv[2]);
    std::from_chars(number.data(), number.data() + number.size(), fd);
    base::UniqueFd socket(fd);
    std::vector<std::string> words(argv + kFirstWord, argv + argc);
    return Guard(make(words), std::move(socket)).run();
  } catch (const std::exception& error) {
    base::log().error("{}", error.what());
    return 1;
  }
}

}  // namespace agent
