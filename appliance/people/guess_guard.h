// Slows down who guesses passwords, without letting an attacker keep people out.
//
// Three counts are kept, and each makes whoever reaches its limit wait: one second, then twice as long
// with each further failure, up to 15 minutes.
//   - of a user at an address: 5 failures are free
//   - of an address, whatever the user: 20
//   - of a user, from all addresses from which he has not signed in before: 50
// The last one stops guessing from many addresses. It never applies at an address from which the user
// has signed in successfully, so nobody can lock a person out of the places where he works, and a
// person who is kept waiting elsewhere waits 15 minutes at most. Root, on the appliance itself, is
// never asked for a password.
//
// A count is forgotten an hour after its last failure. An IPv6 address counts with its /64, which one
// person has as a whole. Nothing is stored; a restart forgets it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::people {

struct GuessLimits {
  uint32_t user_at_address = 5, address = 20, user = 50;  // failures that are free
  uint64_t first_wait_ms = 1'000, longest_wait_ms = 15 * 60'000;
  uint64_t forgotten_ms = 3'600'000;
};

class GuessGuard {
 public:
  // The clock outlives it; its steady time counts.
  explicit GuessGuard(GuessLimits limits = {}, const base::Clock& clock = base::system_clock())
      : limits_(limits), clock_(clock) {}

  // 0: the attempt may begin, and counts as a failure until that is taken back, so that many attempts
  // at once have no advantage. Otherwise how long to wait in milliseconds, and nothing is counted.
  uint64_t begin(const std::string& user, const std::string& address, bool is_known_address);
  // Signed in: the user's failures at this address are forgotten.
  void succeeded(const std::string& user, const std::string& address, bool is_known_address);
  // It was no failure, and no success yet: the password was right, and a code is asked.
  void take_back(const std::string& user, const std::string& address, bool is_known_address);

  struct Waiting {
    std::string what;  // "the user anna at 192.0.2.7", "the address 192.0.2.7"
    uint64_t failures = 0;
  };
  // Who has to wait for a minute or longer now.
  std::vector<Waiting> waiting();

  // Counts that are kept. If all of them are of somebody who has to wait, new ones wait as well.
  static constexpr size_t kMaxRemembered = 10'000;

 private:
  struct Count {
    std::string what;
    uint64_t failures = 0;
    uint64_t last_ms = 0;
    uint64_t until_ms = 0;
  };
  using Counts = std::map<std::string, Count>;
  uint64_t wait_of(Counts& counts, const std::string& key, uint64_t now_ms) const;
  bool make_room(Counts& counts, uint64_t now_ms) const;
  void fail(Counts& counts, const std::string& key, const std::string& what, uint32_t free,
            uint64_t now_ms) const;

  const GuessLimits limits_;
  const base::Clock& clock_;
  base::Guarded<Counts> counts_;
};

// As it counts: an IPv6 address is its /64.
std::string counted_address(const std::string& address);

}  // namespace appliance::people
