// Waiting until an instant VM is of use: it has an address, a port accepts, or a page answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// Returns when the service has answered. Throws unavailable after the timeout, busy when the VM no
// longer runs, invalid_argument if it has no network, cancelled.
Answered wait_for_answer(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan,
                         jobs::JobContext& context);

// Returns when the service has answered, with the time it took since the VM's start in the job's
// figures. Throws unavailable after the timeout, busy when the VM no longer runs, cancelled.
void wait_for_service(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan,
                      jobs::JobContext& context);

}  // namespace appliance::api
