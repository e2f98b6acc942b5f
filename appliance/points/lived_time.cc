#include "appliance/points/lived_time.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"

namespace appliance::points {
namespace {

constexpr const char* kFact = "lived time";
constexpr uint64_t kSampleEveryMs = 3'600'000;
constexpr uint64_t kJumpMs = 60'000;
constexpr uint64_t kUnnoticedMs = 15 * 60'000;  // longer than from one tick to the next

// Whether the wall clock may have shown `wall_ms` between two samples. It has gone from one to the other,
// or it was set back some time before the second one.
bool may_contain(uint64_t from_ms, uint64_t to_ms, uint64_t wall_ms) {
  if (from_ms <= to_ms) return from_ms <= wall_ms && wall_ms <= to_ms;
  return wall_ms <= to_ms && to_ms - wall_ms <= kUnnoticedMs;
}

}  // namespace

LivedTime::LivedTime(catalog::ApplianceRecords& records, const base::Clock& clock)
    : records_(records), clock_(clock) {
  auto state = state_.lock();
  state->began_ms = clock_.steady_ms();
  if (auto fact = records_.find_fact(kFact)) {
    nlohmann::json kept = base::parse_json(*fact, "the lived time in the catalog");
    for (const nlohmann::json& each : base::expect_list(kept, "samples", kMaxSamples))
      state->samples.push_back(
          {base::expect_natural(each, "lived"), base::expect_natural(each, "wall")});
    if (!state->samples.empty()) state->base_ms = state->samples.back().lived_ms;
  }
  state->seen = Sample{now_ms(*state), clock_.wall_ms()};
  add(*state, *state->seen);
  save(*state);
}

uint64_t LivedTime::now_ms(const State& state) const {
  return state.base_ms + (clock_.steady_ms() - state.began_ms);
}

uint64_t LivedTime::now_ms() { return now_ms(*state_.lock()); }

// The newer half stays whole: ages of a few weeks are known to the hour.
void LivedTime::add(State& state, const Sample& sample) {
  state.samples.push_back(sample);
  if (state.samples.size() < kMaxSamples) return;
  std::vector<Sample> kept;
  for (size_t i = 0; i < state.samples.size(); ++i) {
    if (i % 2 == 0 || i >= state.samples.size() / 2) kept.push_back(state.samples[i]);
  }
  state.samples = std::move(kept);
}

void LivedTime::save(State& state) {
  nlohmann::json list = nlohmann::json::array();
  for (const Sample& each : state.samples)
    list.push_back({{"lived", each.lived_ms}, {"wall", each.wall_ms}});
  records_.save_fact(kFact, base::dump_text({{"samples", list}}));
}

void LivedTime::tick() {
  auto state = state_.lock();
  Sample now{now_ms(*state), clock_.wall_ms()};
  bool is_jump = false;
  if (state->seen) {
    uint64_t expected = state->seen->wall_ms + (now.lived_ms - state->seen->lived_ms);
    is_jump = (expected > now.wall_ms ? expected - now.wall_ms : now.wall_ms - expected) > kJumpMs;
    if (is_jump) add(*state, {now.lived_ms, expected});
  }
  state->seen = now;
  if (!is_jump && now.lived_ms - state->samples.back().lived_ms < kSampleEveryMs) return;
  add(*state, now);
  save(*state);
}

uint64_t LivedTime::age_ms(uint64_t wall_ms) {
  auto state = state_.lock();
  uint64_t now = now_ms(*state);
  std::vector<Sample> samples = state->samples;
  samples.push_back({now, clock_.wall_ms()});
  for (size_t i = samples.size(); i-- > 1;) {
    if (may_contain(samples[i - 1].wall_ms, samples[i].wall_ms, wall_ms))
      return now - samples[i].lived_ms;
  }
  // Received before the first sample: at least since then.
  if (wall_ms <= samples.front().wall_ms) return now - samples.front().lived_ms;
  return 0;
}

}  // namespace appliance::points
