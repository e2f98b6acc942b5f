// What people and appliances have found out about a point, kept beside it in its store and sent along
// with a copy: whether it boots, and whether it must be kept. So whoever has only the store knows it:
// a second appliance, or a person on the day of a disaster.
//
// Marks are claims of whoever wrote them. An appliance shows those of another as the other's; they
// never count as a test boot of its own. Values and pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace images {

constexpr size_t kMaxMarkText = 400;    // bytes of one text; longer ones are truncated
constexpr size_t kMaxMarksSize = 4096;  // bytes, encoded

// The newest completed test boot of the point.
struct BootMark {
  std::string verdict;  // "pass", "fail" or "inconclusive"
  std::string reason;   // the decisive one; may be empty
  uint64_t tested_ms = 0;
  std::optional<uint64_t> recovery_ms;  // from the order until everything required answered
  std::string appliance;                // id of the installation that tested it
  std::string appliance_name;           // for people

  bool operator==(const BootMark&) const = default;
};

struct HoldMark {
  std::string reason;  // may be empty
  uint64_t placed_ms = 0;
  std::optional<uint64_t> until_ms;  // none: until it is released

  bool operator==(const HoldMark&) const = default;
};

struct PointMarks {
  std::optional<BootMark> boot;
  std::optional<HoldMark> hold;

  bool empty() const { return !boot && !hold; }
  bool operator==(const PointMarks&) const = default;
};

// JSON (docs/format.md, "Marks"), at most kMaxMarksSize: texts are cleaned and truncated.
base::Bytes encode_marks(const PointMarks& marks);
// Fields that this program does not know are passed over. Throws corrupt, naming `what`.
PointMarks decode_marks(base::ByteView bytes, std::string_view what);

// "pass, tested 2026-11-27T08:00:00Z by the appliance backup1"
std::string describe_boot_mark(const BootMark& mark);

}  // namespace images
