// Words that the consoles of common systems show and that say nothing about whose machine it is. Pure
// functions; thread-safe.
#pragma once

#include <string_view>

namespace appliance::verify {

// `word` is in lower case and has only letters.
bool is_neutral_word(std::string_view word);

}  // namespace appliance::verify
