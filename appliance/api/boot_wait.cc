#include "appliance/api/boot_wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::milliseconds kAskTimeout{2000};
constexpr uint64_t kMaxTimeoutMs = 24ull * 3'600'000;
constexpr size_t kMaxPath = 2000;  // bytes

// Sleeps, but not past a request to stop.
void pause(jobs::JobContext& context) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, context.stop(), kPause, [] { return false; });
  context.throw_if_stopped();
}

// What shows that the VM is of use, or nothing yet.
std::optional<std::string> look(boot::BootService& boots, const boot::BootId& id,
                                const WaitPlan& plan) {
  std::vector<std::string> addresses = boots.addresses(id);
  if (!plan.service && !addresses.empty()) return "it has the address " + addresses.front();
  for (const std::string& address : addresses) {
    if (!plan.service) break;
    boot::Answer answer = boot::ask(address, *plan.service, kAskTimeout);
    if (answer.answered)
      return fmt::format("{} port {} answered: {}", address, plan.service->port, answer.detail);
  }
  return std::nullopt;
}

// "/path" or ":8080/path".
boot::Service parse_http(const std::string& text) {
  boot::Service service;
  std::string path = text;
  if (text.starts_with(':')) {
    size_t slash = std::min(text.find('/'), text.size());
    auto result = std::from_chars(text.data() + 1, text.data() + slash, service.port);
    bool good = result.ec == std::errc() && result.ptr == text.data() + slash && service.port != 0;
    path = !good ? "" : slash == text.size() ? "/" : text.substr(slash);
  }
  if (!path.starts_with('/') || path.find_first_of(" \r\n\t") != std::string::npos ||
      path.size() > kMaxPath) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' is not a path to ask for; write it like /health or :8080/health",
                    text.substr(0, 80)));
  }
  service.path = path;
  return service;
}

void expect_still_running(const boot::InstantVm& vm) {
  if (vm.state == boot::VmState::ended || vm.state == boot::VmState::kept) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("the instant VM of {} is {}; it will not answer{}{}", vm.machine_name,
                    boot::vm_state_name(vm.state), vm.problem.empty() ? "" : ": ", vm.problem));
  }
  for (const boot::VmNetworkCard& card : vm.network_cards) {
    if (card.mode != boot::NetworkMode::none) return;
  }
  throw base::Error(
      base::ErrorCode::invalid_argument,
      fmt::format("the instant VM of {} has no network, so nothing can be asked of it",
                  vm.machine_name));
}

}  // namespace

WaitPlan parse_wait_plan(BodyFields& body) {
  WaitPlan plan;
  auto http = body.text("http");
  auto port = body.natural("tcp", 1, 65535);
  if (http && port) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "wait for 'http' or for 'tcp', not for both at once");
  }
  if (http) plan.service = parse_http(*http);
  if (port)
    plan.service = boot::Service{boot::Service::Kind::tcp, static_cast<uint16_t>(*port), ""};
  if (auto timeout = body.text("timeout")) plan.timeout_ms = base::parse_duration_ms(*timeout);
  if (plan.timeout_ms > kMaxTimeoutMs) {
    throw base::Error(base::ErrorCode::invalid_argument, "the timeout is longer than a day");
  }
  return plan;
}

Answered wait_for_answer(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan,
                         jobs::JobContext& context) {
  uint64_t begin_ms = base::now_ms();
  boot::InstantVm vm = boots.get(id);
  while (true) {
    expect_still_running(vm);
    if (auto answer = look(boots, id, plan)) {
      boots.served(id);
      uint64_t now = base::now_ms();
      return {*answer, now - begin_ms, now - vm.started_ms};
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

void wait_for_service(boot::BootService& boots, const boot::BootId& id, const WaitPlan& plan,
                      jobs::JobContext& context) {
  context.set_progress({0, 0, fmt::format("waiting for {}", boots.get(id).machine_name)});
  Answered answer = wait_for_answer(boots, id, plan, context);
  context.log(answer.words);
  nlohmann::json figures{{"boot", id.hex()},
                         {"answer", answer.words},
                         {"waited_ms", answer.waited_ms},
                         {"since_start_ms", answer.since_start_ms}};
  context.set_figures(figures.dump());
}

}  // namespace appliance::api
