#include "appliance/api/boot_wait.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

constexpr std::chrono::milliseconds kPause{200};
constexpr std::chrono::milliseconds kProbeTimeout{2000};
constexpr uint64_t kMaxTimeoutMs = 24ull * 3'600'000;

// Sleeps, but not past a request to stop.
void pause(jobs::JobContext& context) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, context.stop(), kPause, [] { return false; });
  context.throw_if_stopped();
}

// What shows that the VM is of use, or nothing yet.
std::optional<std::string> look(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan) {
  std::vector<std::string> addresses = boots.addresses(id);
  if (addresses.empty()) return std::nullopt;
  if (!plan.probe) return "it has the address " + addresses.front();
  return probe::probe_service(addresses, *plan.probe, kProbeTimeout);
}

void expect_still_running(const boot::InstantVm& vm) {
  if (vm.state == boot::VmState::ended || vm.state == boot::VmState::kept) {
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("the instant VM of {} is {}; it will not answer{}{}", vm.machine_name,
                                  boot::vm_state_name(vm.state), vm.problem.empty() ? "" : ": ", vm.problem));
  }
  for (const boot::VmNetworkCard& card : vm.network_cards) {
    if (card.mode != boot::NetworkMode::none) return;
  }
  throw base::Error(base::ErrorCode::invalid_argument,
                    fmt::format("the instant VM of {} has no network, so nothing can be asked of it", vm.machine_name));
}

}  // namespace

WaitPlan parse_wait_plan(BodyFields& body) {
  WaitPlan plan;
  auto http = body.text("http");
  auto port = body.natural("tcp", 1, 65535);
  if (http && port) {
    throw base::Error(base::ErrorCode::invalid_argument, "wait for 'http' or for 'tcp', not for both at once");
  }
  if (http) plan.probe = probe::parse_http_probe(*http);
  if (port) plan.probe = probe::ProbePlan{std::nullopt, static_cast<uint16_t>(*port)};
  if (auto timeout = body.text("timeout")) plan.timeout_ms = base::parse_duration_ms(*timeout);
  if (plan.timeout_ms > kMaxTimeoutMs) {
    throw base::Error(base::ErrorCode::invalid_argument, "the timeout is longer than a day");
  }
  return plan;
}

void wait_for_service(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan,
                      jobs::JobContext& context) {
  uint64_t begin_ms = base::now_ms();
  boot::InstantVm vm = boots.get(id);
  context.set_progress({0, 0, fmt::format("waiting for {}", vm.machine_name)});
  while (true) {
    expect_still_running(vm);
    if (auto answer = look(boots, id, plan)) {
      uint64_t now = base::now_ms();
      context.log(*answer);
      nlohmann::json figures{{"boot", id.hex()},
                             {"answer", *answer},
                             {"waited_ms", now - begin_ms},
                             {"since_start_ms", now - vm.started_ms}};
      context.set_figures(figures.dump());
      return;
    }
    if (base::now_ms() - begin_ms > plan.timeout_ms) {
      throw base::Error(base::ErrorCode::unavailable,
                        fmt::format("{} did not answer within {}", vm.machine_name,
                                    base::format_duration_ms(plan.timeout_ms)));
    }
    pause(context);
    vm = boots.get(id);
  }
}

}  // namespace appliance::api
