#include "base/enum_names.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"

namespace base {
namespace {

constexpr size_t kShownBytes = 40;  // of a text from outside

}  // namespace

void refuse_name(std::string_view text, std::string_view what,
                 std::span<const std::string_view> names) {
  std::string choices;
  for (size_t i = 0; i < names.size(); ++i) {
    const char* separator = i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    choices += fmt::format("{}{}", separator, names[i]);
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("'{}' is not {}; choose {}", text.substr(0, kShownBytes), what, choices));
}

void fail_without_name(std::string_view what, size_t value) {
  std::string condition = fmt::format("{} is a name of {}", value, what);
  check_failed(condition.c_str(), __FILE__, __LINE__);
}

}  // namespace base
