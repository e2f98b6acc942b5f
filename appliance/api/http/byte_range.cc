#include "appliance/api/http/byte_range.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace appliance::api {
namespace {

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

}  // namespace

RangeResult parse_range(std::string_view text, uint64_t size, ByteRange& range) {
  range = {0, size};
  constexpr std::string_view kUnit = "bytes=";
  size_t dash = text.find('-');
  if (!text.starts_with(kUnit) || dash == std::string_view::npos ||
      text.find(',') != std::string_view::npos)
    return RangeResult::whole;
  std::string_view first_text = text.substr(kUnit.size(), dash - kUnit.size());
  std::string_view last_text = text.substr(dash + 1);
  std::optional<uint64_t> first = number_of(first_text), last = number_of(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty()) || (!first && !last))
    return RangeResult::whole;
  if (!first) {  // the last bytes
    if (*last == 0) return RangeResult::impossible;
    uint64_t length = std::min(*last, size);
    range = {size - length, length};
    return size == 0 ? RangeResult::impossible : RangeResult::part;
  }
  if (last && *last < *first) return RangeResult::whole;
  if (*first >= size) return RangeResult::impossible;
  uint64_t end = last ? std::min(*last, size - 1) + 1 : size;
  range = {*first, end - *first};
  return RangeResult::part;
}

}  // namespace appliance::api
