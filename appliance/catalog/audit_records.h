// The rows of the audit log. What they contain, and how they are chained: appliance/audit. There is no
// function that changes or removes one. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"

namespace appliance::catalog {

struct AuditRow {
  uint64_t sequence = 0;  // 1, 2, 3, …
  std::string body;       // a JSON object, byte for byte as it was hashed
  base::Sha256 hash{};
};

class AuditRecords {
 public:
  virtual ~AuditRecords() = default;

  // Throws already_exists if there is a row of that number.
  virtual void append_audit(const AuditRow& row) = 0;
  virtual std::optional<AuditRow> last_audit() = 0;
  // At most `limit` rows from number `first` on, in order.
  virtual std::vector<AuditRow> audit(uint64_t first, uint32_t limit) = 0;
};

}  // namespace appliance::catalog
