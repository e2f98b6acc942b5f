// Policies, protections, noticed machines and recovery gaps in SQLite. Contract: protection_records.h.
#pragma once

#include "appliance/catalog/protection_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteProtectionRecords : public virtual ProtectionRecords {
 public:
  // `database` outlives it.
  explicit SqliteProtectionRecords(Connection& database) : database_(database) {}

  std::vector<std::pair<std::string, std::string>> policies(const TenantName& tenant) override;
  void set_policy(const TenantName& tenant, std::string_view name, std::string_view body) override;
  void remove_policy(const TenantName& tenant, std::string_view name) override;
  std::vector<Protection> protections(const TenantName& tenant) override;
  std::optional<Protection> find_protection(const TenantName& tenant,
                                            std::string_view machine) override;
  void save_protection(const Protection& protection) override;
  RetentionMark retention_mark(const TenantName& tenant, std::string_view machine_name) override;
  void save_retention_mark(const TenantName& tenant, std::string_view machine_name,
                           const RetentionMark& mark) override;
  Noticed notice_machines(const Host& host, const std::vector<std::string>& names, bool wanted,
                          uint64_t now_ms) override;
  void save_order(const TenantName& tenant, std::string_view machine, const HostId& host,
                  uint64_t order, uint64_t now_ms) override;
  bool was_ordered(const TenantName& tenant, std::string_view machine, const HostId& host,
                   uint64_t order) override;
  RecoveryGaps recovery_gaps(const TenantName& tenant, std::string_view machine,
                             uint64_t now_ms) override;
  uint64_t worst_gap(const TenantName& tenant, std::string_view machine, uint64_t from_ms,
                     uint64_t to_ms) override;
  void forget_gaps(uint64_t before_ms) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
