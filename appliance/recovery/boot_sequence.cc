#include "appliance/recovery/boot_sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/enum_names.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::recovery {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::chrono::milliseconds kPause{100};

constexpr auto kMemberStates =
    base::enum_names<MemberState>("a state of a member", {{MemberState::waiting, "waiting"},
                                                          {MemberState::starting, "starting"},
                                                          {MemberState::answered, "answered"},
                                                          {MemberState::started, "started"},
                                                          {MemberState::silent, "silent"},
                                                          {MemberState::failed, "failed"},
                                                          {MemberState::skipped, "skipped"}});

using Clock = std::chrono::steady_clock;

// One VM of the sequence. Its start is a part of the job, on a thread of its own; the wait for its
// answer is not.
struct Member {
  BootSequencePlan::Member what;
  MemberState state = MemberState::waiting;
  std::string boot, error;
  uint64_t start_duration_ms = 0, answered_ms = 0;  // since this member's start was requested
  struct Started {
    boot::InstantVm vm;  // written by the part, read once `start` is ready
  };
  std::shared_ptr<Started> started{};
  std::future<void> start{};
  std::unique_ptr<AnswerWait> wait{};

  bool is_under_way() const { return start.valid() || wait; }
};

// The work of one job, step by step.
class BootSequence {
 public:
  BootSequence(const Recovery& recovery, const access::TenantName& tenant,
               const BootSequencePlan& plan)
      : recovery_(recovery), tenant_(tenant), plan_(plan) {
    for (const auto& group : plan.groups) {
      groups_.emplace_back();
      for (const BootSequencePlan::Member& each : group) groups_.back().push_back({.what = each});
    }
  }

  std::optional<std::chrono::milliseconds> step(jobs::JobContext& context) {
    if (max_concurrent_ == 0) begin(context);
    bool stopped = context.stop().stop_requested();
    for (Member& member : groups_[group_]) {
      if (member.is_under_way()) look_after(member, context);
      if (stopped && member.wait) abandon_wait(member);
    }
    if (!stopped && Clock::now() >= group_begins_) start_members(context);
    if (changed_) publish(context);
    if (is_over(groups_[group_], stopped) && !begin_next_group(context, stopped)) {
      end(context);
      return std::nullopt;
    }
    return kPause;
  }

 private:
  void begin(jobs::JobContext& context) {
    max_concurrent_ = plan_.max_concurrent != 0
                          ? plan_.max_concurrent
                          : default_max_concurrent(recovery_.boots.accelerator().accelerator);
    context.log(fmt::format("at most {} guests boot at a time", max_concurrent_));
    if (groups_.size() > 1) context.log("group 1 begins");
  }

  static bool is_over(const std::vector<Member>& group, bool stopped) {
    return std::all_of(group.begin(), group.end(), [&](const Member& each) {
      return !each.is_under_way() && (stopped || each.state != MemberState::waiting);
    });
  }

  // False if there is none.
  bool begin_next_group(jobs::JobContext& context, bool stopped) {
    bool failed = !plan_.keep_going && count(MemberState::failed) > 0;
    if (stopped || failed || group_ + 1 == groups_.size()) return false;
    ++group_;
    group_begins_ = Clock::now() + std::chrono::milliseconds(plan_.delay_ms);
    context.log(fmt::format("group {} begins", group_ + 1));
    return true;
  }

  void start_members(jobs::JobContext& context) {
    std::vector<Member>& group = groups_[group_];
    auto under_way = static_cast<size_t>(std::count_if(
        group.begin(), group.end(), [](const Member& each) { return each.is_under_way(); }));
    for (Member& member : group) {
      if (under_way >= max_concurrent_) return;
      if (member.state != MemberState::waiting) continue;
      guard(member, context, [&] { start(member); });
      under_way += member.is_under_way() ? 1 : 0;
    }
  }

  void start(Member& member) {
    member.state = MemberState::starting;
    changed_ = true;
    member.started = std::make_shared<Member::Started>();
    auto work = [recovery = recovery_, tenant = tenant_, point = member.what.point,
                 options = plan_.options, started = member.started] {
      auto writer = recovery.stores.writer(tenant);
      started->vm = recovery.boots.start(point_source(recovery, tenant, *writer), point, options);
    };
    member.start = recovery_.jobs.run_part(jobs::Lane::groups, tenant_, work);
  }

  void look_after(Member& member, jobs::JobContext& context) {
    guard(member, context, [&] {
      if (member.start.valid()) {
        if (member.start.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
        member.start.get();
        take_start(member, context);
        return;
      }
      std::optional<Answered> answer = member.wait->look();
      if (!answer) return;
      member.wait.reset();
      member.state = MemberState::answered;
      member.answered_ms = answer->since_start_ms;
      changed_ = true;
      context.log(fmt::format("{}: {} after {}", member.what.machine, answer->words,
                              base::format_duration_ms(answer->since_start_ms)));
    });
  }

  void take_start(Member& member, jobs::JobContext& context) {
    const boot::InstantVm& vm = member.started->vm;
    member.boot = vm.id.hex();
    member.start_duration_ms = vm.start_duration_ms;
    changed_ = true;
    context.log(fmt::format("{} runs after {}", member.what.machine,
                            base::format_duration_ms(vm.start_duration_ms)));
    bool has_network = std::any_of(
        vm.network_cards.begin(), vm.network_cards.end(),
        [](const boot::VmNetworkCard& card) { return card.mode != boot::NetworkMode::none; });
    if (!has_network) {
      member.state = MemberState::started;
      return;
    }
    member.wait = std::make_unique<AnswerWait>(recovery_, vm.id, plan_.wait);
  }

  // The outer boundary of one member: its errors are its outcome.
  void guard(Member& member, jobs::JobContext& context, const std::function<void()>& action) {
    try {
      action();
      return;
    } catch (const Error& error) {
      bool timed_out = error.code() == ErrorCode::unavailable && !member.boot.empty();
      member.state = timed_out ? MemberState::silent : MemberState::failed;
      member.error = error.message();
    } catch (const std::future_error&) {
      member.state = MemberState::failed;
      member.error = "the daemon ended before it was started";
    } catch (const std::exception& error) {
      member.state = MemberState::failed;
      member.error = error.what();
    }
    member.start = {};
    member.wait.reset();
    changed_ = true;
    context.log(fmt::format("{}: {}", member.what.machine, member.error));
  }

  void abandon_wait(Member& member) {
    member.wait.reset();
    member.state = MemberState::silent;
    member.error = "cancelled";
    changed_ = true;
  }

  void end(jobs::JobContext& context) {
    for (std::vector<Member>& group : groups_) {
      for (Member& each : group) {
        if (each.state == MemberState::waiting) each.state = MemberState::skipped;
      }
    }
    publish(context);
    context.throw_if_stopped();
    size_t missing = count(MemberState::failed) + count(MemberState::skipped);
    if (missing > 0) {
      throw Error(ErrorCode::io,
                  fmt::format("{} of {} machines were not started: see the job's log", missing,
                              member_count()));
    }
  }

  void publish(jobs::JobContext& context) {
    changed_ = false;
    json boots = json::array();
    for (size_t group = 0; group < groups_.size(); ++group) {
      for (const Member& each : groups_[group]) {
        boots.push_back({{"group", group + 1},
                         {"machine", each.what.machine},
                         {"point", each.what.point.hex()},
                         {"state", member_state_name(each.state)},
                         {"boot", each.boot.empty() ? json() : json(each.boot)},
                         {"error", each.error.empty() ? json() : json(each.error)},
                         {"start_duration_ms", each.start_duration_ms},
                         {"answered_ms", each.answered_ms}});
      }
    }
    context.set_figures(base::dump_text(json{{"boots", boots}}));
    size_t up = count(MemberState::answered) + count(MemberState::started);
    context.set_progress({up, member_count(), fmt::format("{} of {} are up", up, member_count())});
  }

  size_t count(MemberState state) const {
    size_t sum = 0;
    for (const std::vector<Member>& group : groups_) {
      sum += static_cast<size_t>(std::count_if(
          group.begin(), group.end(), [&](const Member& each) { return each.state == state; }));
    }
    return sum;
  }

  size_t member_count() const {
    size_t sum = 0;
    for (const auto& group : groups_) sum += group.size();
    return sum;
  }

  const Recovery recovery_;
  const access::TenantName tenant_;
  const BootSequencePlan plan_;
  uint32_t max_concurrent_ = 0;  // 0: it has not begun
  std::vector<std::vector<Member>> groups_;
  size_t group_ = 0;  // the one that is being started
  Clock::time_point group_begins_ = Clock::now();
  bool changed_ = true;
};

}  // namespace

uint32_t default_max_concurrent(boot::Accelerator accelerator) {
  uint32_t cpus = std::max(1u, std::thread::hardware_concurrency());
  return std::min(kMaxConcurrent, (accelerator == boot::Accelerator::kvm ? 4 : 2) * cpus);
}

std::string_view member_state_name(MemberState state) { return kMemberStates.name(state); }

jobs::JobId submit_sequence(const Recovery& recovery, const access::TenantName& tenant,
                            const BootSequencePlan& plan, const access::Requester& requested_by) {
  jobs::JobSpec spec{"boots", tenant, plan.groups.front().front().machine, requested_by};
  BootSequencePlan noted = plan;
  noted.options.requested_by = requested_by.text();
  auto sequence = std::make_shared<BootSequence>(recovery, tenant, noted);
  return recovery.jobs.submit_steps(
      spec, [sequence](jobs::JobContext& context) { return sequence->step(context); });
}

}  // namespace appliance::recovery
