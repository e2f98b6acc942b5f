// The name of a tenant, as a type of its own so that it cannot be confused with the name of a
// machine or a host. Values; thread-safe.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace appliance::access {

class TenantName {
 public:
  TenantName() = default;  // no tenant
  explicit TenantName(std::string text) : text_(std::move(text)) {}
  explicit TenantName(std::string_view text) : text_(text) {}
  explicit TenantName(const char* text) : text_(text) {}
  // A literal may stand for a tenant: it cannot be another variable by mistake.
  template <size_t kSize>
  TenantName(const char (&literal)[kSize]) : text_(literal) {}

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const TenantName&) const = default;

  // Converts to text implicitly, but is made from text only explicitly (except literals).
  operator const std::string&() const { return text_; }
  operator std::string_view() const { return text_; }

 private:
  std::string text_;
};

// The tenant that every appliance has. What belongs to the whole appliance is filed under it.
constexpr char kDefaultTenant[] = "default";

}  // namespace appliance::access

template <>
struct fmt::formatter<appliance::access::TenantName> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const appliance::access::TenantName& name, Context& context) const {
    return fmt::formatter<std::string_view>::format(name.text(), context);
  }
};
