#include "base/tagged_fields.h"

#include <string>

#include "base/check.h"
#include "base/error.h"

namespace base {

void write_field(ByteWriter& out, uint16_t tag, ByteView value) {
  CHECK((tag & ~kFieldNeeded) != 0);
  out.u16(tag);
  out.u32(static_cast<uint32_t>(value.size()));
  out.view(value);
}

std::vector<TaggedField> read_fields(ByteView bytes, std::string_view what) {
  ByteReader in(bytes, what);
  std::vector<TaggedField> fields;
  while (in.remaining() > 0) {
    uint16_t tag = in.u16();
    uint32_t size = in.u32();
    TaggedField field{static_cast<uint16_t>(tag & ~kFieldNeeded), (tag & kFieldNeeded) != 0,
                      in.view(size)};
    if (field.number <= (fields.empty() ? 0 : fields.back().number))
      in.fail("has fields that are not in order");
    if (fields.size() == kMaxFields) in.fail("has too many fields");
    fields.push_back(field);
  }
  return fields;
}

void pass_over(const TaggedField& field, std::string_view what) {
  if (!field.needed) return;
  throw Error(ErrorCode::unsupported, std::string(what) + " has a field " +
                                          std::to_string(field.number) +
                                          " that this program does not know; update it");
}

}  // namespace base
