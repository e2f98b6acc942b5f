// The chain of the audit log's entries, and whether it is whole. Functions; thread-safe.
//
// An entry's hash covers its body and the hash of the entry before it, so an entry that was changed or
// removed shows at the next one. Whoever can write to the catalog can compute all following hashes
// again, or cut the end off: that shows where an anchor, which is kept elsewhere, remembers another
// hash, or an entry that is no longer there. Between two anchors such a change is not found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/audit_records.h"

namespace appliance::audit {

base::Sha256 chain_hash(const base::Sha256& before, std::string_view body);

// What somebody remembers of the log.
struct Memory {
  std::string who;  // "the store of tenant acme on 2026-11-28T00:00:03Z"
  uint64_t sequence = 0;
  base::Sha256 hash{};
};

struct ChainCheck {
  uint64_t entry_count = 0;  // that were read
  uint64_t memory_count = 0;
  uint64_t first_wrong = 0;  // 0: none
  std::string problem;       // a sentence; empty: all is well
  bool good() const { return problem.empty(); }
};

// Reads all entries. Stops at the first that is wrong. Throws what reading the catalog throws.
ChainCheck check_chain(catalog::AuditRecords& records, std::vector<Memory> memories);

}  // namespace appliance::audit
