// An XML document as bytes that can be read without an XML parser: its elements, attributes and
// text, and nothing else. So a process without privileges can parse a definition that a host made,
// and the daemon trusts its output no more than the definition. Functions; thread-safe.
#pragma once

#include <string>

#include "base/bytes.h"

namespace pugi {
class xml_document;
}

namespace base::xml {

constexpr size_t kMaxXml = 1 << 20;  // bytes of a definition
constexpr uint32_t kMaxXmlDepth = 64;

// Parses and packs in this process. Throws corrupt, with what is wrong and where, also for elements
// nested deeper than kMaxXmlDepth.
base::Bytes pack_xml(std::string_view xml);

// The same in muletto-parse, confined (base/confinement.h). Throws corrupt, and unavailable if that
// program cannot be run or confined.
base::Bytes pack_xml_confined(std::string_view xml);

// Unpacks into an empty document. Throws corrupt for what pack_xml() never produces.
void unpack_xml(base::ByteView packed, pugi::xml_document& document);

}  // namespace base::xml
