#include "images/format/audit_anchor_format.h"

#include <algorithm>

#include "base/error.h"

namespace images::format {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {'M', 'U', 'L', 'A', 'U', 'D', 'I', 'T'};
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumSize = 8;

}  // namespace

base::Bytes encode_audit_anchors(const ApplianceBytes& appliance,
                                 const std::vector<AuditAnchor>& anchors) {
  size_t count = std::min(anchors.size(), kMaxAuditAnchors);
  base::ByteWriter out;
  out.view(kMagic);
  out.u32(kVersion);
  out.u32(static_cast<uint32_t>(count));
  out.view(appliance);
  for (size_t i = anchors.size() - count; i < anchors.size(); ++i) {
    out.u64(anchors[i].sequence);
    out.u64(anchors[i].time_ms);
    out.view(anchors[i].hash);
  }
  out.u64(base::checksum64(out.bytes()));
  return out.take();
}

std::vector<AuditAnchor> decode_audit_anchors(base::ByteView bytes,
                                              const ApplianceBytes& appliance) {
  base::ByteReader in(bytes, "audit anchors");
  if (bytes.size() > kMaxAuditAnchorsSize) in.fail("the file is too large");
  if (in.array<8>() != kMagic) in.fail("the file is something else");
  if (in.u32() != kVersion)
    throw base::Error(base::ErrorCode::unsupported,
                      "the audit anchors need a newer version of this program");
  if (bytes.size() < kChecksumSize ||
      base::checksum64(bytes.first(bytes.size() - kChecksumSize)) !=
          base::load_u64(bytes.data() + bytes.size() - kChecksumSize))
    in.fail("the checksum is wrong");
  uint32_t count = in.u32();
  if (count > kMaxAuditAnchors) in.fail("there are too many");
  if (in.array<8>() != appliance) in.fail("they are another appliance's");
  std::vector<AuditAnchor> anchors;
  for (uint32_t i = 0; i < count; ++i) {
    AuditAnchor anchor;
    anchor.sequence = in.u64();
    anchor.time_ms = in.u64();
    anchor.hash = in.array<32>();
    if (!anchors.empty() && anchor.sequence <= anchors.back().sequence)
      in.fail("they are out of order");
    anchors.push_back(anchor);
  }
  in.view(kChecksumSize);
  in.expect_end();
  return anchors;
}

}  // namespace images::format
