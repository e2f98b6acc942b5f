// Which points of a machine are kept and which are removed, and why: retention as a pure function.
//
// Good points are those that are not damaged, did not fail their test boot, and are not dated ahead
// by a host's clock (points of old stores). The policy's rules count only good points: the newest
// good point of each hour, day, … stands for it, and as many are kept as the rule says, newest
// first. Bad points follow the same rules among themselves and by the age of the good ones, so that
// they never take a good point's place and are still removed eventually.
//
// Whatever the rules say, these are kept: the newest point, the newest undamaged one, the newest
// one that passed its test boot, those that someone holds, those that are in use.
//
// Pure. Values. Times are the appliance's, of when it received the point: a host's clock decides
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "appliance/policy/retention.h"
#include "appliance/policy/time_zone.h"
#include "images/ids.h"

namespace appliance::retention {

enum class TestVerdict { unknown, passed, failed };

struct Candidate {
  images::PointId id;
  int64_t time_ms = 0;  // when the appliance received it, UTC
  uint64_t order = 0;   // on the machine's timeline; precedes time and id
  bool is_damaged = false;
  bool is_dated_ahead = false;  // an old point, dated by a host's clock that was wrong
  TestVerdict verdict = TestVerdict::unknown;  // of its newest completed test boot
  std::string held;                            // why someone holds it; empty: it is not held
  std::string use;                             // what needs it now, a sentence; empty: nothing

  bool is_good() const { return !is_damaged && !is_dated_ahead && verdict != TestVerdict::failed; }
};

struct Decision {
  images::PointId id;
  int64_t time_ms = 0;
  bool stays = true;
  bool is_by_rule = false;           // a rule of the policy keeps it
  bool is_good = true;               // as of the candidate
  std::vector<std::string> reasons;  // "daily 14", "the newest point", …; never empty
};

// The reason for keeping the newest undamaged point that passed its test boot.
constexpr const char* kNewestPassed = "the newest point that passed its test boot";

// Newest first: by order, then by time, then by id, as everywhere.
std::vector<Decision> plan(std::vector<Candidate> points, const policy::Retention& retention,
                           const policy::TimeZone& zone);

size_t count_going(const std::vector<Decision>& decisions);

// How many of a machine's points one run removes at most, the oldest first.
constexpr size_t kFewPoints = 5;
constexpr size_t kShareOfRun = 10;  // 1/10 of them, if that is more
size_t most_of_run(size_t point_count);

// ---- grace: a new rule that would remove more than a third waits, so that a mistake can be
// undone.

constexpr uint64_t kGraceMs = 24ull * 3'600'000;

struct Grace {
  std::string applied;  // the rule that removals follow now; empty: none yet
  std::string wanted;   // another rule that waits; empty: none
  uint64_t wanted_since_ms = 0;

  bool operator==(const Grace&) const = default;
};

// What to remember after a look at `now_ms` at which `rule` would remove `going` of `point_count`
// points. It may remove them if the result's `applied` is the rule.
Grace look_at_rule(const Grace& before, const std::string& rule, size_t point_count, size_t going,
                   uint64_t now_ms);

}  // namespace appliance::retention
