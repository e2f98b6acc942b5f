// Text as content or attribute of XML and HTML. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace base {

// With the five characters that mean something in markup replaced: & < > " '.
std::string markup_text(std::string_view text);

}  // namespace base
