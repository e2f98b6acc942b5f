#include "base/internal_errors.h"

#include <algorithm>
#include <bit>

#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"

namespace base {
namespace {

constexpr size_t kMaxMessage = 500;  // bytes

Guarded<std::vector<InternalError>>& known_errors() {
  static Guarded<std::vector<InternalError>> errors;
  return errors;
}

// True if it is to be logged: an error that repeats every second in the same way is logged the
// first, second, fourth, eighth time and so on.
bool remember(std::string_view place, std::string_view message, uint64_t now) {
  auto errors = known_errors().lock();
  auto found = std::find_if(errors->begin(), errors->end(),
                            [&](const InternalError& each) { return each.place == place; });
  if (found == errors->end()) {
    if (errors->size() >= kMaxInternalErrorPlaces) {
      errors->erase(std::min_element(
          errors->begin(), errors->end(),
          [](const InternalError& a, const InternalError& b) { return a.last_ms < b.last_ms; }));
    }
    errors->push_back({.place = std::string(place), .first_ms = now});
    found = std::prev(errors->end());
  }
  bool is_new = found->message != message.substr(0, kMaxMessage);
  found->message = std::string(message.substr(0, kMaxMessage));
  found->last_ms = now;
  ++found->count;
  return is_new || std::has_single_bit(found->count);
}

}  // namespace

void report_internal_error(std::string_view place, std::string_view message) noexcept {
  bool is_logged = true;
  try {
    is_logged = remember(place, message, now_ms());
  } catch (...) {
    // Out of memory for it: the log may still have some.
  }
  if (!is_logged) return;
  try {
    log().error("unexpected failure in {}: {}", place, message);
  } catch (...) {
    // There is no way left to report it.
  }
}

std::vector<InternalError> internal_errors() { return *known_errors().lock(); }

std::string describe_exception(const std::exception_ptr& failure) noexcept {
  try {
    try {
      if (!failure) return "";
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "an exception of an unknown type";
    }
  } catch (...) {
    return "";  // no memory for the text
  }
}

}  // namespace base
