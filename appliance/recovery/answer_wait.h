// Waiting until an instant VM is up: it has an address, a port accepts, or a page answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "appliance/recovery/recovery.h"

namespace appliance::recovery {

struct WaitPlan {
  std::optional<boot::Service> service;  // none: an address is enough
  uint64_t timeout_ms = 300'000;
};

struct Answered {
  std::string words;  // what answered, and how
  uint64_t waited_ms = 0;
  uint64_t since_start_ms = 0;  // of the VM
};

// Waits without a thread: its owner calls look() from time to time. Not thread-safe.
class AnswerWait {
 public:
  // The time starts now.
  AnswerWait(const Recovery& recovery, const boot::BootId& id, const WaitPlan& plan);
  // The answer, once there is one; waits for libvirt, and half a second for the guest's network.
  // Throws unavailable after the timeout, busy if the VM no longer runs, invalid_argument if it has
  // no network.
  std::optional<Answered> look();
  std::chrono::milliseconds pause() const;  // until the next look

 private:
  struct Question {
    std::string address;
    std::future<boot::ServiceAnswer> answer;
  };
  std::optional<std::string> answer();
  uint64_t waited_ms() const;

  const Recovery recovery_;
  const boot::BootId id_;
  const WaitPlan plan_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::vector<Question> asked_;
  std::string why_ = "it has no address yet";  // why it has not answered
};

// A job that ends when the service has answered; its figures: {"boot", "answer", "waited_ms",
// "since_start_ms"}. It fails as AnswerWait throws.
jobs::JobId submit_wait(const Recovery& recovery, const boot::InstantVm& vm, const WaitPlan& plan,
                        const access::Requester& requested_by);

}  // namespace appliance::recovery
