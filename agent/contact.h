// What this host knows about the way to its appliance: when it answered last, since when and why it
// does not, and how often it said that this host was revoked. Kept in the state folder, so that
// `muletto-agent status` and monitoring see it, and a restart does not forget it.
//
// The service never gives up for what it cannot know: a certificate that looks wrong, a clock, a
// name, an appliance that does not know this host (its catalog came from an older backup). Only the
// appliance's own word, over a connection whose certificate its authority signed, counts:
// "revoked", said kRevokedCount times, each at least kRevokedEveryMs after the one before, with no
// other answer in between. That time is measured by a clock that nobody sets.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace agent {

constexpr uint32_t kRevokedCount = 7;
constexpr uint64_t kRevokedEveryMs = 3600'000;  // so that they span at least six hours
constexpr uint64_t kContactStaleMs = 5 * 60'000;

struct ContactRecord {
  std::string host_id;            // whose contact this is
  uint64_t written_ms = 0;        // all times: this host's clock
  uint64_t answered_ms = 0;       // 0: never
  uint64_t failing_since_ms = 0;  // 0: the last attempt was answered
  std::string problem;            // one sentence; empty: none
  uint32_t revoked_count = 0;
  uint64_t revoked_since_ms = 0;

  bool is_over() const { return revoked_count >= kRevokedCount; }
};

// None if nothing, or nothing readable, was written.
std::optional<ContactRecord> read_contact(const std::string& state_directory);

// What is wrong, for people; empty: the appliance answered lately.
std::string contact_problem(const std::optional<ContactRecord>& record, uint64_t now_ms);

class Contact {
 public:
  // Takes up what an earlier service wrote. The clock lives as long as this.
  explicit Contact(std::string state_directory, const base::Clock& clock = base::system_clock());

  void answered(const std::string& host_id);
  // Logs the problem when it is new, and every hour.
  void failed(const std::string& host_id, const std::string& problem);
  // The appliance's own "revoked". True when it has been said often and long enough.
  bool revoked(const std::string& host_id, const std::string& problem);

  const ContactRecord& record() const { return record_; }

 private:
  void be_of(const std::string& host_id);
  void tell(const std::string& problem);
  void save(bool at_once);

  std::string state_directory_;
  const base::Clock& clock_;
  ContactRecord record_;
  // Steady times. The first: when this object was made, until an answer was counted.
  uint64_t counted_at_ms_;
  std::optional<uint64_t> logged_at_ms_, saved_at_ms_;
};

}  // namespace agent
