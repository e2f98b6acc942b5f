#include "base/stop_signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "base/error.h"

namespace base {

StopSignals::StopSignals(SecondSignal second) : second_(second) {
  sigset_t watched;
  sigemptyset(&watched);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&watched, number);
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC));
  end_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_ || !end_) throw system_error(errno, "cannot watch for signals");
  watcher_ = std::thread([this] { watch(); });
}

StopSignals::~StopSignals() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t ignored = ::write(end_.get(), &one, sizeof one);
  watcher_.join();
}

int StopSignals::wait() const {
  first_.wait(0);
  return first_;
}

void StopSignals::watch() {
  while (true) {
    std::array<pollfd, 2> watched{{{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[1].revents != 0) return;
    signalfd_siginfo info;
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    auto number = static_cast<int>(info.ssi_signo);
    if (source_.request_stop()) {
      first_ = number;
      first_.notify_all();
    } else if (second_ == SecondSignal::ends_program && number != SIGHUP) {
      ::_exit(exit_code(ErrorCode::cancelled));
    }
  }
}

}  // namespace base
