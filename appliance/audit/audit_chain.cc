#include "appliance/audit/audit_chain.h"

#include <fmt/format.h>

#include <algorithm>

namespace appliance::audit {
namespace {

constexpr uint32_t kRowsAtOnce = 1000;

// Walks along the entries and the memories, which are sorted by number.
class Walk {
 public:
  explicit Walk(std::vector<Memory> memories) : memories_(std::move(memories)) {
    std::stable_sort(memories_.begin(), memories_.end(),
                     [](const Memory& a, const Memory& b) { return a.sequence < b.sequence; });
    result_.memory_count = memories_.size();
  }

  // False: something is wrong, and the walk is over.
  bool take(const catalog::AuditRow& row) {
    uint64_t expected = last_ + 1;
    if (row.sequence < expected)
      return wrong(row.sequence, fmt::format("entry {} does not belong there", row.sequence));
    if (row.sequence != expected)
      return wrong(expected,
                   row.sequence == expected + 1
                       ? fmt::format("entry {} is missing", expected)
                       : fmt::format("entries {} to {} are missing", expected, row.sequence - 1));
    if (row.hash != chain_hash(hash_, row.body))
      return wrong(row.sequence,
                   fmt::format("entry {} was changed, or its hash or that of the one before it",
                               row.sequence));
    ++result_.entry_count;
    last_ = row.sequence;
    hash_ = row.hash;
    for (; next_ < memories_.size() && memories_[next_].sequence <= last_; ++next_) {
      const Memory& memory = memories_[next_];
      if (memory.sequence == last_ && memory.hash != hash_)
        return wrong(agreed_ + 1,
                     fmt::format("{} remembers another entry {}: it or one before it, after entry "
                                 "{}, was changed and the hashes computed again",
                                 memory.who, last_, agreed_));
      agreed_ = last_;
    }
    return true;
  }

  ChainCheck end() {
    if (result_.good() && next_ < memories_.size()) {
      const Memory& memory = memories_.back();
      wrong(last_ + 1, fmt::format("the end is missing: {} remembers entry {}, and the last one "
                                   "here is {}",
                                   memory.who, memory.sequence, last_));
    }
    return result_;
  }

 private:
  bool wrong(uint64_t sequence, std::string problem) {
    result_.first_wrong = sequence;
    result_.problem = std::move(problem);
    return false;
  }

  std::vector<Memory> memories_;
  size_t next_ = 0;
  uint64_t last_ = 0, agreed_ = 0;
  base::Sha256 hash_{};
  ChainCheck result_;
};

}  // namespace

base::Sha256 chain_hash(const base::Sha256& before, std::string_view body) {
  base::Sha256Stream stream;
  stream.update(before);
  stream.update(base::as_bytes(body));
  return stream.finish();
}

ChainCheck check_chain(catalog::AuditRecords& records, std::vector<Memory> memories) {
  Walk walk(std::move(memories));
  for (uint64_t next = 0;;) {
    std::vector<catalog::AuditRow> rows = records.audit(next, kRowsAtOnce);
    for (const catalog::AuditRow& row : rows) {
      if (!walk.take(row)) return walk.end();
    }
    if (rows.size() < kRowsAtOnce) return walk.end();
    next = rows.back().sequence + 1;
  }
}

}  // namespace appliance::audit
