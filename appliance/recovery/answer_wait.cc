#include "appliance/recovery/answer_wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::recovery {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{100}, kLongPause{1000};
constexpr uint64_t kEagerForMs = 10 * 60'000;  // after that, one look per second is enough
constexpr std::chrono::milliseconds kAskTimeout{2000};

void require_still_running(const boot::InstantVm& vm) {
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
      fmt::format("the instant VM of {} has no network, so it cannot be probed", vm.machine_name));
}

}  // namespace

AnswerWait::AnswerWait(const Recovery& recovery, const boot::BootId& id, const WaitPlan& plan)
    : recovery_(recovery), id_(id), plan_(plan) {}

std::optional<Answered> AnswerWait::look() {
  boot::InstantVm vm = recovery_.boots.get(id_);
  require_still_running(vm);
  if (auto words = answer()) {
    recovery_.boots.mark_boot_complete(id_);
    uint64_t now = base::now_ms();
    return Answered{*words, waited_ms(), now > vm.started_ms ? now - vm.started_ms : 0};
  }
  if (waited_ms() > plan_.timeout_ms) {
    throw base::Error(base::ErrorCode::unavailable,
                      fmt::format("{} did not answer within {}: {}", vm.machine_name,
                                  base::format_duration_ms(plan_.timeout_ms), why_));
  }
  return std::nullopt;
}

std::chrono::milliseconds AnswerWait::pause() const {
  return waited_ms() < kEagerForMs ? kPause : kLongPause;
}

uint64_t AnswerWait::waited_ms() const {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_).count());
}

// What shows that the VM is up, or nothing yet. Probes take seconds if nothing answers: they are
// sent now, and checked at the next look.
std::optional<std::string> AnswerWait::answer() {
  for (Question& question : asked_) {
    if (!question.answer.valid()) continue;
    if (question.answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
    boot::ServiceAnswer answer = question.answer.get();
    if (answer.answered) {
      return fmt::format("{} port {} answered: {}", question.address, plan_.service->port,
                         answer.detail);
    }
    why_ = fmt::format("{} port {}: {}", question.address, plan_.service->port, answer.detail);
  }
  std::erase_if(asked_, [](const Question& question) { return !question.answer.valid(); });
  if (!asked_.empty()) return std::nullopt;
  boot::GuestSearch search = recovery_.boots.search(id_);
  if (!plan_.service && !search.found.empty())
    return "it has the address " + search.found.front().address;
  if (!search.obstacle.empty()) why_ = search.obstacle;
  else if (!search.silent.empty())
    why_ = fmt::format("{} is not reachable inside its network", search.silent.front());
  for (const boot::FoundGuest& guest : search.found)
    asked_.push_back({guest.address, guest.ask(recovery_.asker, *plan_.service, kAskTimeout)});
  return std::nullopt;
}

jobs::JobId submit_wait(const Recovery& recovery, const boot::InstantVm& vm, const WaitPlan& plan,
                        const access::Requester& requested_by) {
  jobs::JobSpec spec{"wait", vm.tenant, vm.machine_name, requested_by};
  auto wait = std::make_shared<AnswerWait>(recovery, vm.id, plan);
  auto step = [wait, id = vm.id, machine = vm.machine_name](
                  jobs::JobContext& context) -> std::optional<std::chrono::milliseconds> {
    context.throw_if_stopped();
    context.set_progress({0, 0, "waiting for " + machine});
    std::optional<Answered> answer = wait->look();
    if (!answer) return wait->pause();
    context.log(answer->words);
    nlohmann::json figures{{"boot", id.hex()},
                           {"answer", answer->words},
                           {"waited_ms", answer->waited_ms},
                           {"since_start_ms", answer->since_start_ms}};
    context.set_figures(base::dump_text(figures));
    return std::nullopt;
  };
  return recovery.jobs.submit_steps(spec, step);
}

}  // namespace appliance::recovery
