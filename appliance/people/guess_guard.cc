#include "appliance/people/guess_guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace appliance::people {
namespace {

constexpr uint64_t kLongWaitMs = 60'000;

// A NUL separates, which no name and no address contains.
std::string pair_key(const std::string& user, const std::string& address) {
  return "b" + user + '\0' + address;
}
std::string user_key(const std::string& user) { return "u" + user; }
std::string address_key(const std::string& address) { return "a" + address; }

}  // namespace

std::string counted_address(const std::string& address) {
  std::array<uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return address;
  constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin()))
    return fmt::format("{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
  return base::to_hex(base::ByteView(bytes).first(8)) + "/64";
}

uint64_t GuessGuard::wait_of(Counts& counts, const std::string& key, uint64_t now_ms) const {
  auto found = counts.find(key);
  if (found == counts.end()) return 0;
  if (now_ms - found->second.last_ms >= limits_.forgotten_ms) {
    counts.erase(found);
    return 0;
  }
  return found->second.until_ms > now_ms ? found->second.until_ms - now_ms : 0;
}

// Forgets what is old; then, if that is not enough, whoever need not wait.
bool GuessGuard::make_room(Counts& counts, uint64_t now_ms) const {
  constexpr size_t kOfAnAttempt = 3;
  if (counts.size() + kOfAnAttempt <= kMaxRemembered) return true;
  std::erase_if(counts, [&](const auto& each) {
    return now_ms - each.second.last_ms >= limits_.forgotten_ms;
  });
  if (counts.size() + kOfAnAttempt <= kMaxRemembered) return true;
  std::erase_if(counts, [&](const auto& each) { return each.second.until_ms <= now_ms; });
  return counts.size() + kOfAnAttempt <= kMaxRemembered;
}

void GuessGuard::fail(Counts& counts, const std::string& key, const std::string& what,
                      uint32_t free, uint64_t now_ms) const {
  Count& count = counts[key];
  count.what = what;
  count.last_ms = now_ms;
  ++count.failures;
  if (count.failures < free) return;
  uint64_t doublings = std::min<uint64_t>(count.failures - free, 20);
  count.until_ms = now_ms + std::min(limits_.first_wait_ms << doublings, limits_.longest_wait_ms);
}

uint64_t GuessGuard::begin(const std::string& user, const std::string& address,
                           bool is_known_address) {
  uint64_t now_ms = clock_.steady_ms();
  std::string from = counted_address(address);
  auto counts = counts_.lock();
  uint64_t wait_ms = std::max(wait_of(*counts, pair_key(user, from), now_ms),
                              wait_of(*counts, address_key(from), now_ms));
  if (!is_known_address) wait_ms = std::max(wait_ms, wait_of(*counts, user_key(user), now_ms));
  if (wait_ms == 0 && !make_room(*counts, now_ms)) wait_ms = kLongWaitMs;
  if (wait_ms != 0) return wait_ms;
  fail(*counts, pair_key(user, from), fmt::format("the user '{}' at {}", user, address),
       limits_.user_at_address, now_ms);
  fail(*counts, address_key(from), fmt::format("the address {}", address), limits_.address, now_ms);
  if (!is_known_address)
    fail(*counts, user_key(user), fmt::format("the user '{}', at addresses new to him", user),
         limits_.user, now_ms);
  return 0;
}

void GuessGuard::take_back(const std::string& user, const std::string& address,
                           bool is_known_address) {
  std::string from = counted_address(address);
  auto counts = counts_.lock();
  auto take_one = [&](const std::string& key) {
    auto found = counts->find(key);
    if (found == counts->end()) return;
    found->second.until_ms = 0;
    if (--found->second.failures == 0) counts->erase(found);
  };
  take_one(pair_key(user, from));
  take_one(address_key(from));
  if (!is_known_address) take_one(user_key(user));
}

// Failures at this address with other names stay: whoever has one account must not guess others'.
void GuessGuard::succeeded(const std::string& user, const std::string& address,
                           bool is_known_address) {
  take_back(user, address, is_known_address);
  counts_.lock()->erase(pair_key(user, counted_address(address)));
}

std::vector<GuessGuard::Waiting> GuessGuard::waiting() {
  uint64_t now_ms = clock_.steady_ms();
  std::vector<Waiting> found;
  auto counts = counts_.lock();
  for (const auto& [key, count] : *counts) {
    if (count.until_ms >= now_ms + kLongWaitMs) found.push_back({count.what, count.failures});
  }
  return found;
}

}  // namespace appliance::people
