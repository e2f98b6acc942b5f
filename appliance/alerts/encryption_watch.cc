#include "appliance/alerts/encryption_watch.h"

#include <algorithm>

#include "base/clock.h"

namespace appliance::alerts {
namespace {

constexpr double kNovelShare = 0.85, kShrinks = 0.75;
constexpr uint64_t kLeastStored = 64ull << 20;  // bytes
constexpr uint64_t kDiskShare = 50;             // divisor: 2 % of the disks
constexpr uint64_t kOverMax = 3;

bool is_novel(const SyncVolume& sync) {
  return sync.read > 0 &&
         static_cast<double>(sync.stored) >= kNovelShare * static_cast<double>(sync.read);
}

// What the machine usually does, from syncs that are not suspicious.
struct History {
  size_t count = 0;
  uint64_t most_stored = 0;
  double all_stored = 0, all_read = 0;

  void add(const SyncVolume& sync) {
    ++count;
    most_stored = std::max(most_stored, sync.stored);
    all_stored += static_cast<double>(sync.stored);
    all_read += static_cast<double>(sync.read);
  }
  bool is_enough() const { return count >= kSyncsToLearn; }
  bool shrinks() const { return all_read > 0 && all_stored <= kShrinks * all_read; }
  uint64_t most() const { return most_stored; }
};

}  // namespace

std::optional<EncryptionSuspicion> looks_encrypted(const std::vector<SyncVolume>& syncs,
                                                   uint64_t disk_size, uint64_t now_ms) {
  History history;
  std::optional<EncryptionSuspicion> found;
  uint64_t last_ms = 0;
  const SyncVolume* clean = nullptr;     // the newest sync that nothing is said against
  const SyncVolume* doubtful = nullptr;  // the one before, if it was large and novel
  for (const SyncVolume& sync : syncs) {
    bool is_judged = history.is_enough() && history.shrinks() && is_novel(sync);
    bool is_huge = is_judged && sync.stored >= kLeastStored &&
                   sync.stored >= disk_size / kDiskShare &&
                   sync.stored >= kOverMax * history.most();
    bool is_large = is_judged && sync.stored >= kLeastStored && sync.stored >= history.most();
    bool continues =
        found && is_large && !base::has_passed(last_ms, kSuspicionKept_ms, sync.time_ms);
    if (is_huge || (is_large && doubtful != nullptr) || continues) {
      if (!found || base::has_passed(last_ms, kSuspicionKept_ms, sync.time_ms)) {
        found = EncryptionSuspicion{doubtful != nullptr ? *doubtful : sync,
                                    clean == nullptr ? "" : clean->point,
                                    clean == nullptr ? 0 : clean->time_ms};
      }
      last_ms = sync.time_ms;
      doubtful = nullptr;
      continue;
    }
    if (is_large) {
      doubtful = &sync;
      continue;
    }
    if (doubtful != nullptr) history.add(*doubtful);  // it was alone
    doubtful = nullptr;
    history.add(sync);
    clean = &sync;
  }
  if (found && base::has_passed(last_ms, kSuspicionKept_ms, now_ms)) return std::nullopt;
  return found;
}

}  // namespace appliance::alerts
