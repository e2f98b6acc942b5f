#include "base/nearest_word.h"

#include <fmt/format.h>

#include <algorithm>

namespace base {
namespace {

constexpr size_t kMaxLength = 64;  // longer words are nobody's slip

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the table of distances between prefixes; the one before the last knows of swaps.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& words) {
  if (word.size() > kMaxLength) return "";
  size_t bound = std::max<size_t>(1, word.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : words) {
    size_t distance = edit_distance(word, candidate);
    if (distance >= bound || distance >= candidate.size()) continue;
    bound = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string did_you_mean(std::string_view before, std::string_view word,
                         const std::vector<std::string>& words) {
  std::string nearest = nearest_word(word, words);
  return nearest.empty() ? "" : fmt::format("; did you mean '{}{}'?", before, nearest);
}

}  // namespace base
