// The tenants' policies: read from the catalog at each query, compiled once for each change.
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "appliance/catalog/protection_records.h"
#include "appliance/policy/policy.h"
#include "base/guarded.h"

namespace appliance::schedule {

class Policies {
 public:
  // `records` must outlive it.
  explicit Policies(catalog::ProtectionRecords& records) : records_(records) {}

  // A machine's compiled policy; an empty name, one that was removed, and one that cannot be read
  // count as the default one. Throws what the catalog throws.
  std::shared_ptr<const policy::Policy> find(const catalog::TenantName& tenant,
                                             const std::string& name);
  // The text of a policy; the default one always exists. Throws not_found.
  policy::PolicyText text(const catalog::TenantName& tenant, const std::string& name);

 private:
  struct Compiled {
    std::string body;
    std::shared_ptr<const policy::Policy> meaning;
  };
  using Key = std::pair<catalog::TenantName, std::string>;  // tenant, name

  catalog::ProtectionRecords& records_;
  base::Guarded<std::map<Key, Compiled>> compiled_;
};

}  // namespace appliance::schedule
