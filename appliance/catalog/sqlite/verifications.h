// Test boots in SQLite. Contract: verification_records.h.
#pragma once

#include "appliance/catalog/sqlite/database.h"
#include "appliance/catalog/verification_records.h"

namespace appliance::catalog::sqlite {

class SqliteVerificationRecords : public virtual VerificationRecords {
 public:
  // `database` outlives it.
  explicit SqliteVerificationRecords(Connection& database) : database_(database) {}

  int64_t add_verification(const Verification& seen,
                           const std::vector<VerificationPicture>& pictures) override;
  void replace_verification(const Verification& seen,
                            const std::vector<VerificationPicture>& pictures) override;
  void forget_test_boots(uint64_t before_ms) override;
  Verification verification(const TenantScope& scope, int64_t number) override;
  std::vector<VerificationPicture> verification_pictures(int64_t number) override;
  std::vector<Verification> verifications(const TenantScope& scope, std::string_view machine_name,
                                          uint32_t limit) override;
  std::vector<RecoveryTime> recovery_times(const TenantName& tenant, std::string_view machine_name,
                                           uint32_t limit) override;
  std::optional<NewestVerdict> newest_verdict(const TenantName& tenant,
                                              std::string_view machine_name) override;
  std::map<images::PointId, std::string> test_verdicts(const TenantName& tenant,
                                                       std::string_view machine_name) override;
  std::optional<uint64_t> last_passed_ms(const TenantName& tenant,
                                         std::string_view machine_name) override;
  VerdictCounts verdict_counts(const TenantName& tenant, std::string_view machine_name,
                               uint64_t from_ms, uint64_t to_ms) override;
  std::optional<Verification> last_verification(const TenantName& tenant,
                                                std::string_view machine_name, uint64_t from_ms,
                                                uint64_t to_ms) override;
  MachineChecks machine_checks(const TenantName& tenant, std::string_view machine_name) override;
  void set_machine_checks(const TenantName& tenant, std::string_view machine_name,
                          const MachineChecks& checks) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
