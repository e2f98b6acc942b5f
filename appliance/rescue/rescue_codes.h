// What lets a computer without a system read points: a person shows the rescue image (or
// muletto-restore) a code that the appliance made for it.
//
// A code is 80 random bits in a form that can be typed. It names the machines whose points may be
// read, can be exchanged once, within an hour by default, for a session's secret, and is worth nothing
// afterwards. The session reads points of these machines, and nothing else, for a day. Codes and
// secrets are kept in memory only, as digests: after a restart of the daemon another code is needed.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/requester.h"
#include "appliance/access/tenant_name.h"
#include "appliance/access/tenant_scope.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/guarded.h"

namespace appliance::rescue {

struct RescueOrder {
  access::TenantName tenant;
  std::set<std::string> machines;  // at least one
  uint64_t lifetime_ms = 0;        // until it must be exchanged
};

struct RescueCode {
  uint64_t id = 0;  // 1, 2, … since the daemon started
  access::TenantName tenant;
  std::set<std::string> machines;
  std::string requested_by;
  uint64_t expires_ms = 0;  // UTC: of the code, then of the session
  bool is_used = false;     // a session has begun
};

class RescueCodes {
 public:
  explicit RescueCodes(const base::Clock& clock = base::system_clock()) : clock_(clock) {}

  struct Made {
    RescueCode code;
    std::string secret;  // "7KQ2-M9XF-T4BD-W8HC": told once
  };
  // Throws busy if too many wait.
  Made make(const RescueOrder& order, const access::Requester& requester);

  // The code becomes a session; case, spaces and dashes do not matter. Throws unauthorized, the same
  // sentence for every reason.
  Made exchange(std::string_view code);

  // The session with this secret; none if it is over, or the secret is something else.
  std::optional<RescueCode> find_session(std::string_view secret);

  // Of codes and sessions that are not over, oldest first.
  std::vector<RescueCode> list(const access::TenantScope& scope);
  // Ends a code or its session. Throws not_found.
  void revoke(uint64_t id, const access::TenantScope& scope);

  static constexpr uint64_t kDefaultLifetimeMs = 60 * 60'000;
  static constexpr uint64_t kMaxLifetimeMs = 24ull * 60 * 60'000;
  static constexpr uint64_t kSessionMs = 24ull * 60 * 60'000;
  static constexpr size_t kMaxCodes = 500;
  // How a session's secret begins, so that it is told apart from an operator's token.
  static constexpr std::string_view kSessionPrefix = "mr_";

 private:
  struct Entry {
    RescueCode code;
    base::Sha256 digest;          // of the code, then of the session's secret
    uint64_t ends_steady_ms = 0;  // no clock that can be set decides
  };
  struct State {
    std::map<uint64_t, Entry> entries;
    uint64_t last_id = 0;
  };
  void remove_ended(State& state) const;

  const base::Clock& clock_;
  base::Guarded<State> state_;
};

}  // namespace appliance::rescue
