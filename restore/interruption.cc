#include "restore/interruption.h"

#include <pthread.h>
#include <signal.h>

namespace restore {
namespace {

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, number);
  return signals;
}

}  // namespace

Interruption::Interruption() {
  sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::jthread([this](std::stop_token end) {
    sigset_t awaited = ending_signals();
    timespec interval{0, 200'000'000};
    while (!end.stop_requested()) {
      if (sigtimedwait(&awaited, nullptr, &interval) >= 0) source_.request_stop();
    }
  });
}

Interruption::~Interruption() {
  waiter_.request_stop();
  waiter_.join();
}

}  // namespace restore
