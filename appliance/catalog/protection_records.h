// Policies, which machines they protect, which hosts reported those, and how long each machine was
// without a newer point. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

// Which rule the removals of a machine's points follow, and which one waits (retention/plan.h).
struct RetentionMark {
  std::string applied;
  std::string wanted;
  uint64_t wanted_since_ms = 0;
};

class ProtectionRecords {
 public:
  virtual ~ProtectionRecords() = default;

  // Names and bodies, by name. A policy's body is opaque here: appliance/policy interprets it.
  virtual std::vector<std::pair<std::string, std::string>> policies(const TenantName& tenant) = 0;
  virtual void set_policy(const TenantName& tenant, std::string_view name,
                          std::string_view body) = 0;
  // Throws not_found, and busy while machines use it.
  virtual void remove_policy(const TenantName& tenant, std::string_view name) = 0;

  virtual std::vector<Protection> protections(const TenantName& tenant) = 0;  // by machine
  virtual std::optional<Protection> find_protection(const TenantName& tenant,
                                                    std::string_view machine) = 0;
  virtual void save_protection(const Protection& protection) = 0;
  // Empty if there is none yet.
  virtual RetentionMark retention_mark(const TenantName& tenant, std::string_view machine_name) = 0;
  virtual void save_retention_mark(const TenantName& tenant, std::string_view machine_name,
                                   const RetentionMark& mark) = 0;

  // Gives each machine that has no protection one, all in one transaction. A host introduces at
  // most as many new names as MachineRecords allows; those beyond are counted and leave no trace.
  virtual Noticed notice_machines(const Host& host, const std::vector<std::string>& names,
                                  bool wanted, uint64_t now_ms) = 0;
  // Records that this is the last order for the machine, and that it was given to this host.
  virtual void save_order(const TenantName& tenant, std::string_view machine, const HostId& host,
                          uint64_t order, uint64_t now_ms) = 0;
  // Whether exactly that was the last order for the machine.
  virtual bool was_ordered(const TenantName& tenant, std::string_view machine, const HostId& host,
                           uint64_t order) = 0;

  // How long the machine was without a newer point, at worst: gaps that ended since then.
  virtual RecoveryGaps recovery_gaps(const TenantName& tenant, std::string_view machine,
                                     uint64_t now_ms) = 0;
  // The gaps that ended in [from_ms, to_ms); they are kept for 100 days.
  virtual uint64_t worst_gap(const TenantName& tenant, std::string_view machine, uint64_t from_ms,
                             uint64_t to_ms) = 0;
  // Those that ended before that time.
  virtual void forget_gaps(uint64_t before_ms) = 0;
};

}  // namespace appliance::catalog
