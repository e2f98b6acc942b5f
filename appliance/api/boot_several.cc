#include "appliance/api/boot_several.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "appliance/api/boot_options.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr uint32_t kMaxAtOnce = 64;

struct Outcome {
  MemberState state = MemberState::waiting;
  std::string boot, error;
  uint64_t start_duration_ms = 0, answered_ms = 0;  // since the order of this member
};

class Several {
 public:
  Several(Services& services, const std::string& tenant, const SeveralPlan& plan,
          jobs::JobContext& context)
      : services_(services), tenant_(tenant), plan_(plan), context_(context),
        writer_(services.stores.writer(tenant)) {
    auto outcomes = outcomes_.lock();
    for (const auto& group : plan.groups) outcomes->emplace_back(group.size());
  }

  void run() {
    at_once_ = plan_.at_once != 0 ? plan_.at_once
                                  : default_at_once(services_.boots.accelerator().accelerator);
    context_.log(fmt::format("at most {} guests boot at a time", at_once_));
    for (size_t group = 0; group < plan_.groups.size(); ++group) {
      if (group > 0 && !plan_.keep_going && count(MemberState::failed) > 0) break;
      if (group > 0) pause(plan_.delay_ms);
      if (context_.stop().stop_requested()) break;
      if (plan_.groups.size() > 1) context_.log(fmt::format("group {} begins", group + 1));
      run_group(group);
    }
    skip_the_rest();
    publish();
    context_.throw_if_stopped();
    size_t missing = count(MemberState::failed) + count(MemberState::skipped);
    if (missing > 0) {
      throw Error(ErrorCode::io,
                  fmt::format("{} of {} machines were not started: see the job's log", missing,
                              member_count()));
    }
  }

 private:
  void run_group(size_t group) {
    std::atomic<size_t> next = 0;
    size_t size = plan_.groups[group].size();
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < std::min<size_t>(size, at_once_); ++i) {
      threads.emplace_back([&, this] {
        for (size_t member; (member = next++) < size && !context_.stop().stop_requested();)
          run_member(group, member);
      });
    }
  }

  // The edge of one member: its errors are its outcome.
  void run_member(size_t group, size_t member) {
    const SeveralPlan::Member& what = plan_.groups[group][member];
    Outcome outcome;
    try {
      boot_member(group, member, outcome);
    } catch (const Error& error) {
      bool runs = outcome.state == MemberState::starting && !outcome.boot.empty();
      bool in_vain = error.code() == ErrorCode::unavailable && runs;
      outcome.state = in_vain ? MemberState::silent : MemberState::failed;
      if (error.code() == ErrorCode::cancelled) outcome.state = MemberState::silent;
      outcome.error = error.message();
      context_.log(fmt::format("{}: {}", what.machine, error.message()));
    } catch (const std::exception& error) {
      outcome.state = MemberState::failed;
      outcome.error = error.what();
    }
    set(group, member, outcome);
  }

  void boot_member(size_t group, size_t member, Outcome& outcome) {
    const SeveralPlan::Member& what = plan_.groups[group][member];
    outcome.state = MemberState::starting;
    set(group, member, outcome);
    boot::InstantVm vm = services_.boots.start(point_source(services_, tenant_, *writer_),
                                               what.point, plan_.options);
    outcome.boot = vm.id.hex();
    outcome.start_duration_ms = vm.start_duration_ms;
    context_.log(fmt::format("{} runs after {}", what.machine,
                             base::format_duration_ms(vm.start_duration_ms)));
    set(group, member, outcome);
    bool has_network = std::any_of(
        vm.network_cards.begin(), vm.network_cards.end(),
        [](const boot::VmNetworkCard& card) { return card.mode != boot::NetworkMode::none; });
    if (!has_network) {
      outcome.state = MemberState::started;
      return;
    }
    Answered answer = wait_for_answer(services_.boots, vm.id, plan_.wait, context_);
    outcome.state = MemberState::answered;
    outcome.answered_ms = answer.since_start_ms;
    context_.log(fmt::format("{}: {} after {}", what.machine, answer.words,
                             base::format_duration_ms(answer.since_start_ms)));
  }

  void set(size_t group, size_t member, const Outcome& outcome) {
    {
      auto outcomes = outcomes_.lock();
      (*outcomes)[group][member] = outcome;
    }
    publish();
  }

  void publish() {
    json boots = json::array();
    {
      auto outcomes = outcomes_.lock();
      for (size_t group = 0; group < plan_.groups.size(); ++group) {
        for (size_t i = 0; i < plan_.groups[group].size(); ++i) {
          const Outcome& each = (*outcomes)[group][i];
          boots.push_back({{"group", group + 1},
                           {"machine", plan_.groups[group][i].machine},
                           {"point", plan_.groups[group][i].point.hex()},
                           {"state", member_state_name(each.state)},
                           {"boot", each.boot.empty() ? json() : json(each.boot)},
                           {"error", each.error.empty() ? json() : json(each.error)},
                           {"start_duration_ms", each.start_duration_ms},
                           {"answered_ms", each.answered_ms}});
        }
      }
    }
    context_.set_figures(json{{"boots", boots}}.dump());
    size_t up = count(MemberState::answered) + count(MemberState::started);
    context_.set_progress({up, member_count(), fmt::format("{} of {} are up", up, member_count())});
  }

  void skip_the_rest() {
    auto outcomes = outcomes_.lock();
    for (std::vector<Outcome>& group : *outcomes) {
      for (Outcome& each : group) {
        if (each.state == MemberState::waiting) each.state = MemberState::skipped;
      }
    }
  }

  size_t count(MemberState state) {
    size_t sum = 0;
    auto outcomes = outcomes_.lock();
    for (const std::vector<Outcome>& group : *outcomes) {
      sum += static_cast<size_t>(std::count_if(
          group.begin(), group.end(), [&](const Outcome& each) { return each.state == state; }));
    }
    return sum;
  }

  size_t member_count() const {
    size_t sum = 0;
    for (const auto& group : plan_.groups) sum += group.size();
    return sum;
  }

  void pause(uint64_t duration_ms) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_for(lock, context_.stop(), std::chrono::milliseconds(duration_ms),
                     [] { return false; });
  }

  Services& services_;
  const std::string tenant_;
  const SeveralPlan& plan_;
  jobs::JobContext& context_;
  std::shared_ptr<images::StoreWriter> writer_;
  uint32_t at_once_ = 1;
  base::Guarded<std::vector<std::vector<Outcome>>> outcomes_;  // as plan_.groups
};

constexpr size_t kMaxMembers = 200;
constexpr uint64_t kMaxDelayMs = 3'600'000;

// Points are looked up before the job is made, so that a wrong one is answered at once.
void name_members(Services& services, const std::string& tenant,
                  const std::vector<std::vector<std::string>>& selectors, bool all,
                  SeveralPlan& plan) {
  auto writer = services.stores.writer(tenant);
  std::vector<std::string> named;
  auto member = [&](const std::string& selector) {
    images::PointId point = writer->reader().find_point(selector);
    named.push_back(writer->reader().read_point(point).machine_name);
    return SeveralPlan::Member{point, named.back()};
  };
  for (const std::vector<std::string>& group : selectors) {
    if (group.empty()) continue;
    plan.groups.emplace_back();
    for (const std::string& selector : group) plan.groups.back().push_back(member(selector));
  }
  if (all) {
    std::vector<SeveralPlan::Member> rest;
    for (const catalog::Machine& machine : services.catalog.machines(tenant)) {
      if (machine.point_count == 0) continue;
      if (std::find(named.begin(), named.end(), machine.name) == named.end())
        rest.push_back(member(machine.name + "@latest"));
    }
    if (!rest.empty()) plan.groups.push_back(std::move(rest));
  }
  if (named.empty() || named.size() > kMaxMembers) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("name the points to start: 1 to {}", kMaxMembers));
  }
  std::sort(named.begin(), named.end());
  auto twice = std::adjacent_find(named.begin(), named.end());
  if (twice != named.end())
    throw Error(ErrorCode::invalid_argument, fmt::format("{} is named twice", *twice));
}

Response start_several_boots(Services& services, const Request& request) {
  BodyFields body(request.body);
  auto selectors = body.text_lists("groups", kMaxMembers);
  bool all = body.flag("all");
  SeveralPlan plan;
  plan.options = parse_boot_options(body);
  plan.wait = parse_wait_plan(body);
  if (auto delay = body.text("delay")) plan.delay_ms = base::parse_duration_ms(*delay);
  if (plan.delay_ms > kMaxDelayMs)
    throw Error(ErrorCode::invalid_argument, "the delay is longer than an hour");
  plan.at_once = static_cast<uint32_t>(body.natural("at_once", 1, kMaxAtOnce).value_or(0));
  plan.keep_going = body.flag("keep_going");
  body.expect_no_more();
  std::string tenant = request.tenant();
  name_members(services, tenant, selectors, all, plan);
  jobs::JobSpec spec{"boots", tenant, plan.groups.front().front().machine};
  return accepted(services,
                  services.jobs.submit(spec, [&services, tenant, plan](jobs::JobContext& context) {
                    start_several(services, tenant, plan, context);
                  }));
}

}  // namespace

uint32_t default_at_once(boot::Accelerator accelerator) {
  uint32_t cpus = std::max(1u, std::thread::hardware_concurrency());
  return std::min(kMaxAtOnce, (accelerator == boot::Accelerator::kvm ? 4 : 2) * cpus);
}

std::string_view member_state_name(MemberState state) {
  switch (state) {
    case MemberState::waiting: return "waiting";
    case MemberState::starting: return "starting";
    case MemberState::answered: return "answered";
    case MemberState::started: return "started";
    case MemberState::silent: return "silent";
    case MemberState::failed: return "failed";
    case MemberState::skipped: break;
  }
  return "skipped";
}

void start_several(Services& services, const std::string& tenant, const SeveralPlan& plan,
                   jobs::JobContext& context) {
  Several(services, tenant, plan, context).run();
}

void add_boot_several_routes(Router& router, Services& services) {
  router.add(
      {"POST", "/api/v1/boot-orders", Access::operators,
       [&services](const Request& request) { return start_several_boots(services, request); }});
}

}  // namespace appliance::api
