// Waiting until an instant VM is of use: it has an address, a port accepts, or a page answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "appliance/api/body_fields.h"
#include "appliance/boot/boot_service.h"
#include "appliance/boot/probe.h"
#include "appliance/jobs/job_runner.h"

namespace appliance::api {

struct WaitPlan {
  std::optional<boot::Service> service;  // none: an address is enough
  uint64_t timeout_ms = 300'000;
};

// {"http"?: "/path" or ":8080/path", "tcp"?: 22, "timeout"?: "5m"}. Throws invalid_argument.
WaitPlan parse_wait_plan(BodyFields& body);

struct Answered {
  std::string words;  // what answered, and how
  uint64_t waited_ms = 0;
  uint64_t since_start_ms = 0;  // of the VM
};

// Waits without a thread: whoever has it looks now and then. Not thread-safe.
class AnswerWait {
 public:
  // Both outlive it; the time runs from now on.
  AnswerWait(boot::BootService& boots, boot::Asker& asker, const boot::BootId& id,
             const WaitPlan& plan);
  // The answer, once there is one; waits for libvirt, and half a second for the guest's network.
  // Throws unavailable after the timeout, busy when the VM no longer runs, invalid_argument if it
  // has no network.
  std::optional<Answered> look();
  std::chrono::milliseconds pause() const;  // until the next look

 private:
  struct Question {
    std::string address;
    std::future<boot::Answer> answer;
  };
  std::optional<std::string> answer();
  uint64_t waited_ms() const;

  boot::BootService& boots_;
  boot::Asker& asker_;
  const boot::BootId id_;
  const WaitPlan plan_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::vector<Question> asked_;
  std::string why_ = "it has no address yet";  // why it has not answered
};

// The steps of a job that ends when the service has answered, with the time it took since the VM's
// start in the job's figures. Throws as AnswerWait, and cancelled.
jobs::JobRunner::Step wait_steps(boot::BootService& boots, boot::Asker& asker,
                                 const boot::BootId& id, const WaitPlan& plan);

}  // namespace appliance::api
