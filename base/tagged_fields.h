// Optional fields at the end of a record or message, so that a later version can add fields that an
// earlier one skips (docs/format.md, "Fields"). A field is a u16 tag, a u32 length and that many
// bytes; the tag's highest bit says that a program that does not know the field must refuse the
// whole. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace base {

constexpr uint16_t kFieldNeeded = 0x8000;  // in a tag: must be understood
constexpr size_t kMaxFields = 64;          // of one record or message

struct TaggedField {
  uint16_t number = 0;  // the tag without its highest bit
  bool needed = false;
  ByteView value;  // of the input that was decoded
};

// Fields are written in the ascending order of their numbers, each once. `tag`: a number below
// 2^15, with kFieldNeeded or without.
void write_field(ByteWriter& out, uint16_t tag, ByteView value);

// All fields that `bytes` are. Throws corrupt, naming `what`, for bytes that are no fields, are out
// of order, repeat a number, or are more than kMaxFields.
std::vector<TaggedField> read_fields(ByteView bytes, std::string_view what);

// For a field that the caller does not know: throws unsupported, naming `what`, if it is needed.
void pass_over(const TaggedField& field, std::string_view what);

}  // namespace base
