#include "appliance/api/http/rate_limit.h"

#include <algorithm>

namespace appliance::api {

bool RateLimit::admit(const std::string& who, Clock::time_point now) {
  auto tokens_of = [&](const Bucket& bucket) {
    double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    return std::min(burst_, bucket.tokens + seconds * per_second_);
  };
  auto buckets = buckets_.lock();
  auto found = buckets->find(who);
  if (found == buckets->end()) {
    if (buckets->size() >= kMaxRemembered) {
      // A full bucket is the same as none.
      std::erase_if(*buckets, [&](const auto& each) { return tokens_of(each.second) >= burst_; });
      if (buckets->size() >= kMaxRemembered) return false;
    }
    found = buckets->emplace(who, Bucket{burst_, now}).first;
  }
  Bucket& bucket = found->second;
  bucket = {tokens_of(bucket), now};
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace appliance::api
