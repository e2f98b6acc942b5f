// Names in UTF-16, as Windows writes them into image files, as UTF-8. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace images {

enum class WideOrder { little, big };  // which byte of a unit comes first

// Up to the first zero; what is not Unicode becomes '?'. At most three bytes for each two.
std::string text_of_wide(std::string_view bytes, WideOrder order);

}  // namespace images
