// Machines in SQLite. Contract: machine_records.h.
#pragma once

#include "appliance/catalog/machine_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteMachineRecords : public virtual MachineRecords {
 public:
  // `database` outlives it.
  explicit SqliteMachineRecords(Connection& database) : database_(database) {}

  std::vector<Machine> machines(const TenantScope& scope) override;
  std::optional<Machine> find_machine(const TenantName& tenant, std::string_view name) override;
  Machine claim_machine(const TenantName& tenant, const images::MachineId& id,
                        std::string_view name, const HostId& host) override;
  void assign_machine(const TenantName& tenant, std::string_view name,
                      const std::optional<HostId>& host) override;
  MachineHistories machine_histories(const TenantName& tenant, uint64_t now_ms) override;
  MachineTraces machine_traces(const TenantName& tenant, std::string_view machine_name) override;
  void forget_machine(const TenantName& tenant, std::string_view machine_name,
                      uint64_t now_ms) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
