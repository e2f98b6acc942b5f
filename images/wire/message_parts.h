// What the encoders and decoders of the protocol's messages share. Private to transfer_format.h's
// implementation. Pure functions.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/tagged_fields.h"
#include "base/text.h"
#include "images/wire/transfer_format.h"

namespace images::wire {

// Starts a frame; its size is filled in by finish().
inline base::ByteWriter start(FrameType type) {
  base::ByteWriter out;
  out.u32(0);
  out.u8(static_cast<uint8_t>(type));
  out.zeros(3);
  return out;
}

inline base::Bytes finish(base::ByteWriter&& out) {
  base::Bytes frame = out.take();
  base::store_u32(frame.data(), static_cast<uint32_t>(frame.size() - kHeaderSize));
  return frame;
}

inline std::string read_text(base::ByteReader& in, uint32_t limit) {
  std::string text = in.string(limit);
  if (!base::is_valid_utf8(text)) in.fail("has text that is not UTF-8");
  return text;
}

inline bool read_flag(base::ByteReader& in) {
  uint8_t flag = in.u8();
  if (flag > 1) in.fail("has a flag that is neither 0 nor 1");
  return flag == 1;
}

inline uint32_t read_count(base::ByteReader& in, uint32_t limit) {
  uint32_t count = in.u32();
  if (count > limit) in.fail(fmt::format("lists {} things where {} are the limit", count, limit));
  return count;
}

inline Consistency read_consistency(base::ByteReader& in) {
  uint8_t consistency = in.u8();
  if (consistency > static_cast<uint8_t>(Consistency::application))
    in.fail("names an unknown consistency");
  return static_cast<Consistency>(consistency);
}

template <typename AnyId>
AnyId read_id(base::ByteReader& in) {
  return AnyId{in.array<AnyId::kSize>()};
}

// The beginning of a text, truncated between two characters.
inline std::string_view cut_text(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<uint8_t>(text[limit]) & 0xc0) == 0x80) --limit;
  return text.substr(0, limit);
}

// The machine's definition, as COMMIT and POINT have it (point_messages.cc). Beyond the limits
// read_definition() throws corrupt.
void write_definition(base::ByteWriter& out, const MachineDefinition& definition);
MachineDefinition read_definition(base::ByteReader& in);

// The end of a message that has no fields of its own yet.
inline void expect_end(base::ByteReader& in, uint16_t version, std::string_view what) {
  if (version == 1) return in.expect_end();
  for (const base::TaggedField& field : base::read_fields(in.view(in.remaining()), what))
    base::pass_over(field, what);
}

}  // namespace images::wire
