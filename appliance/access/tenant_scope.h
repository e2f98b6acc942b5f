// The tenants whose things a caller may see and change. Each list of the appliance takes a scope, so
// that a caller cannot forget to filter. Values; thread-safe.
#pragma once

#include <optional>
#include <utility>

#include "appliance/access/tenant_name.h"

namespace appliance::access {

class TenantScope {
 public:
  TenantScope() = default;  // no tenant: sees nothing
  // Exactly that tenant.
  TenantScope(TenantName tenant) : reach_(Reach::one), tenant_(std::move(tenant)) {}
  // All tenants: for operators of the whole appliance, and for the appliance itself.
  static TenantScope all() {
    TenantScope scope;
    scope.reach_ = Reach::all;
    return scope;
  }

  bool is_all() const { return reach_ == Reach::all; }
  bool sees(const TenantName& tenant) const {
    return is_all() || (reach_ == Reach::one && tenant_ == tenant);
  }
  // The tenant it is limited to, if it is exactly one.
  std::optional<TenantName> only() const {
    return reach_ == Reach::one ? std::optional(tenant_) : std::nullopt;
  }

 private:
  enum class Reach { none, one, all };
  Reach reach_ = Reach::none;
  TenantName tenant_;
};

}  // namespace appliance::access
