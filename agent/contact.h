// What this host knows about its contact with the appliance: when it last answered, since when and
// why it does not, and how often it said that this host was revoked. Kept in the state folder, so
// that `muletto-agent status` and monitoring see it, and a restart does not lose it.
//
// The service never stops trying because of something it cannot be sure of: a certificate that
// looks wrong, a clock, a name, an appliance that does not know this host (its catalog was restored
// from an older backup). Only the appliance's own answer counts, over a connection whose
// certificate its authority signed: "revoked", given kRevokedCount times, each at least
// kRevokedEveryMs after the previous one, with no other answer in between. That time is measured
// with the steady clock.
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
  uint64_t failing_since_ms = 0;  // 0: the last attempt succeeded
  std::string problem;            // one sentence; empty: none
  uint32_t revoked_count = 0;
  uint64_t revoked_since_ms = 0;

  bool is_over() const { return revoked_count >= kRevokedCount; }
};

// None if nothing was written, or it cannot be read.
std::optional<ContactRecord> read_contact(const std::string& state_directory);

// What is wrong, for people; empty: the appliance answered recently.
std::string contact_problem(const std::optional<ContactRecord>& record, uint64_t now_ms);

class Contact {
 public:
  // Continues from what an earlier service wrote. The clock must outlive this object.
  explicit Contact(std::string state_directory, const base::Clock& clock = base::system_clock());

  void answered(const std::string& host_id);
  // Logs the problem if it is new, and then every hour.
  void failed(const std::string& host_id, const std::string& problem);
  // The appliance answered "revoked". True if it has said so often and long enough.
  bool revoked(const std::string& host_id, const std::string& problem);

  const ContactRecord& record() const { return record_; }

 private:
  void be_of(const std::string& host_id);
  void tell(const std::string& problem);
  void save(bool at_once);

  std::string state_directory_;
  const base::Clock& clock_;
  ContactRecord record_;
  // Steady times. The first is when this object was created, until an answer was counted.
  uint64_t counted_at_ms_;
  std::optional<uint64_t> logged_at_ms_, saved_at_ms_;
};

}  // namespace agent
