#include "appliance/verify/novelty.h"

#include <algorithm>

#include "base/crypto.h"

namespace appliance::verify {
namespace {

constexpr size_t kMaxKnown = 20'000;
constexpr size_t kMaxLine = 1000;  // bytes
constexpr uint32_t kMaxScreens = 40;
constexpr uint64_t kMuch = 1 << 20;  // bytes
constexpr uint64_t kWindow_ms = 30'000;
constexpr uint32_t kColumns = 16, kRows = 12;  // of a picture that is compared

// Words with digits are times, counters, addresses.
std::string without_numbers(std::string_view line) {
  std::string kept, word;
  auto end_word = [&] {
    bool has_digit = word.find_first_of("0123456789") != std::string::npos;
    if (!word.empty() && !has_digit) kept += word + ' ';
    word.clear();
  };
  for (char c : line) {
    if (static_cast<unsigned char>(c) > ' ') word += c;
    else end_word();
  }
  end_word();
  return kept;
}

// The brightness of a coarse grid.
std::string sketch_of(const Picture& picture) {
  std::string sketch;
  if (picture.width == 0 || picture.height == 0) return sketch;
  Picture small = reduced(picture, kColumns * 4, kRows * 4);
  for (size_t i = 0; i + 2 < small.rgb.size(); i += 3) {
    uint32_t sum = small.rgb[i] + small.rgb[i + 1] + small.rgb[i + 2];
    sketch += static_cast<char>('a' + sum / 128);
  }
  return sketch;
}

}  // namespace

bool Novelty::remember(std::set<uint64_t>& known, std::string_view bytes) {
  if (known.size() >= kMaxKnown) return false;
  return known.insert(base::checksum64(base::as_bytes(bytes))).second;
}

bool Novelty::is_new_on_serial(std::string_view piece) {
  bool is_new = false;
  for (char c : piece) {
    if (c != '\n' && c != '\r') {
      if (line_.size() < kMaxLine) line_ += c;
      continue;
    }
    std::string words = without_numbers(line_);
    if (!words.empty() && remember(lines_, words)) is_new = true;
    line_.clear();
  }
  if (is_new) screen_count_ = 0;
  return is_new;
}

bool Novelty::is_new_on_screen(const Picture& picture, std::string_view text) {
  std::string words = without_numbers(text);
  if (!remember(screens_, words.empty() ? sketch_of(picture) : words)) return false;
  return ++screen_count_ <= kMaxScreens;
}

bool Novelty::is_new_on_disks(uint64_t sum, uint64_t now_ms) {
  bool is_much = sum >= window_sum_ + kMuch;
  if (is_much || now_ms >= window_begin_ms_ + kWindow_ms) {
    window_begin_ms_ = now_ms;
    window_sum_ = sum;
  }
  if (is_much) screen_count_ = 0;
  return is_much;
}

void Novelty::forget() {
  lines_.clear();
  screens_.clear();
  line_.clear();
  screen_count_ = 0;
}

}  // namespace appliance::verify
