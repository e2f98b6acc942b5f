#include "appliance/presence/presence.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>

#include "appliance/catalog/records.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::presence {
namespace {

constexpr std::chrono::milliseconds kPause{200};

// Never 0.
uint64_t monotonic_ms() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return 1 +
         static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// Empty if there is none.
std::string problem_of(const std::function<void()>& check) {
  try {
    check();
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

Presence::Presence(std::vector<std::vector<Need>> groups) {
  auto rows = groups_.lock();
  uint64_t now = base::now_ms();
  for (std::vector<Need>& group : groups) {
    Rows& made = rows->emplace_back();
    for (Need& need : group) {
      Row row;
      row.need = std::move(need);
      row.problem = "it has not been checked yet";
      row.since_ms = now;
      made.push_back(std::move(row));
    }
  }
}

Presence::~Presence() { stop(); }

void Presence::start() {
  size_t count = groups_.lock()->size();
  for (size_t group = 0; group < count; ++group) {
    threads_.emplace_back("presence", base::AfterFailure::begin_again,
                          [this, group](const std::stop_token& stop) { run(group, stop); });
  }
}

void Presence::stop() {
  for (base::GuardedThread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Presence::run(size_t group, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (!check_next(group)) base::sleep_unless_stopped(stop, kPause);
  }
}

// False if none of the group is due.
bool Presence::check_next(size_t group) {
  size_t place = 0;
  std::function<void()> check;
  {
    auto groups = groups_.lock();
    Rows& rows = groups->at(group);
    uint64_t now = monotonic_ms();
    while (place < rows.size() && rows[place].next > now) ++place;
    if (place == rows.size()) return false;
    rows[place].begun = now;
    check = rows[place].need.check;
  }
  std::string problem = problem_of(check);
  auto groups = groups_.lock();
  Row& row = groups->at(group)[place];
  uint64_t now = monotonic_ms();
  row.begun = 0;
  row.next = now + row.need.every_ms;
  if (problem == row.problem) return true;
  if (problem.empty() != row.problem.empty() || row.failing_from == 0)
    row.since_ms = base::now_ms();
  if (problem.empty()) {
    if (row.failing_from != 0) base::log().info("{} is back", row.need.name);
    row.failing_from = 0;
  } else {
    if (row.failing_from == 0) row.failing_from = now;
    base::log().warn("{}: {}", row.need.name, problem);
  }
  row.problem = problem;
  return true;
}

NeedStanding Presence::standing_of(const Row& row, uint64_t now) const {
  NeedStanding standing{row.need.name, row.need.purpose, row.need.is_for_duties,
                        row.problem,   row.since_ms,     0};
  if (row.failing_from != 0) standing.failing_ms = now - row.failing_from + 1;
  if (row.begun != 0 && now > row.begun + kPatienceMs) {
    standing.problem = fmt::format("{} has not answered for {}", row.need.name,
                                   base::format_duration_ms(now - row.begun));
    standing.failing_ms = now - row.begun;
  }
  return standing;
}

std::vector<NeedStanding> Presence::standings() {
  std::vector<NeedStanding> found;
  uint64_t now = monotonic_ms();
  auto groups = groups_.lock();
  for (const Rows& rows : *groups) {
    for (const Row& row : rows) found.push_back(standing_of(row, now));
  }
  return found;
}

std::vector<alerts::Condition> Presence::conditions() {
  std::vector<alerts::Condition> found;
  uint64_t now = monotonic_ms();
  auto groups = groups_.lock();
  for (const Rows& rows : *groups) {
    for (const Row& row : rows) {
      NeedStanding standing = standing_of(row, now);
      if (standing.failing_ms == 0 || standing.failing_ms <= row.need.grace_ms) continue;
      std::string message = fmt::format("{}: {}. Without it: no {}", row.need.name,
                                        standing.problem, row.need.purpose);
      found.push_back({alerts::kDependencyMissing, catalog::TenantName(catalog::kDefaultTenant),
                       row.need.name, message});
    }
  }
  return found;
}

}  // namespace appliance::presence
