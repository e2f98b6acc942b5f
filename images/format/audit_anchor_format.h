// The bytes of an appliance's audit anchors in a store (docs/format.md, "Audit anchors"): how far its
// audit log had come at certain times, and the hash there. Whoever changes or removes entries of the
// log afterwards would have to change the stores, too. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"

namespace images {

struct AuditAnchor {
  uint64_t sequence = 0;  // of the newest entry at that time
  uint64_t time_ms = 0;   // UTC
  base::Sha256 hash{};    // of that entry

  bool operator==(const AuditAnchor&) const = default;
};

namespace format {

constexpr size_t kMaxAuditAnchors = 1000;  // in one file; the oldest are dropped
constexpr uint64_t kMaxAuditAnchorsSize = kMaxAuditAnchors * 48 + 64;

using ApplianceBytes = std::array<uint8_t, 8>;

base::Bytes encode_audit_anchors(const ApplianceBytes& appliance,
                                 const std::vector<AuditAnchor>& anchors);
// Throws corrupt (also for those of another appliance), unsupported for a newer version.
std::vector<AuditAnchor> decode_audit_anchors(base::ByteView bytes,
                                              const ApplianceBytes& appliance);

}  // namespace format
}  // namespace images
