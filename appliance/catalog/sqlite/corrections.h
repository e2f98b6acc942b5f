// Corrections and taught texts in SQLite. Contract: correction_records.h.
#pragma once

#include "appliance/catalog/correction_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteCorrectionRecords : public virtual CorrectionRecords {
 public:
  // `database` outlives it.
  explicit SqliteCorrectionRecords(Connection& database) : database_(database) {}

  int64_t correct_verification(const access::TenantScope& scope, int64_t number,
                               const Correction& correction, const std::string& reasons,
                               const std::vector<TaughtRule>& rules) override;
  void withdraw_correction(const access::TenantScope& scope, int64_t number) override;
  std::vector<TaughtRule> taught_rules(const access::TenantName& tenant,
                                       std::string_view machine_name) override;
  void forget_rule(const access::TenantName& tenant, std::string_view machine_name,
                   int64_t number) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
