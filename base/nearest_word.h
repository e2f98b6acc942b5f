// The word that somebody meant who typed another. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace base {

// How many letters have to be added, removed, changed or swapped with their neighbour.
size_t edit_distance(std::string_view a, std::string_view b);

// The one of `words` that is nearest to `word`, or empty if none is near: a third of its letters may
// differ, and at least one. Of equally near ones the first.
std::string nearest_word(std::string_view word, const std::vector<std::string>& words);

// "; did you mean 'boot start'?" for "boot " and "strat", or nothing: the end of a sentence about a
// wrong word. `before` is put before the right one.
std::string did_you_mean(std::string_view before, std::string_view word,
                         const std::vector<std::string>& words);

}  // namespace base
