// The name of a tenant, as a type of its own so that it cannot be confused with the name of a
// machine or a host. Values; thread-safe.
#pragma once

#include <compare>
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

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const TenantName&) const = default;

  // Converts to text implicitly, but is made from text only explicitly.
  operator const std::string&() const { return text_; }
  operator std::string_view() const { return text_; }

 private:
  std::string text_;
};

// The tenant that every appliance has. What belongs to the whole appliance is filed under it.
constexpr std::string_view kDefaultTenant = "default";

}  // namespace appliance::access
