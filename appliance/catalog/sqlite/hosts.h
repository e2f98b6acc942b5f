// Hosts, certificates, reports and tokens in SQLite. Contract: host_records.h.
#pragma once

#include "appliance/catalog/host_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteHostRecords : public virtual HostRecords {
 public:
  // `database` outlives it.
  explicit SqliteHostRecords(Connection& database) : database_(database) {}

  std::vector<Host> hosts(const TenantScope& scope) override;
  std::optional<Host> find_host(const HostId& id) override;
  std::optional<Host> find_host_by_certificate(std::string_view serial) override;
  void add_certificate(const HostId& id, const std::string& serial, uint64_t now_ms) override;
  void revoke_host(const HostId& id) override;
  void touch_host(const HostId& id, std::string_view version, uint64_t now_ms) override;
  void enroll_host(const base::Sha256& secret_hash, const Host& host, uint64_t now_ms) override;
  void replace_internal_host(const Host& host, uint64_t now_ms) override;
  void forget_host(const HostId& id) override;
  void save_report(const HostReport& report) override;
  std::optional<HostReport> find_report(const HostId& host) override;
  void add_token(const Token& token, const base::Sha256& secret_hash) override;
  std::vector<Token> tokens(const TenantScope& scope) override;
  void remove_token(const TokenId& id) override;
  std::optional<Token> find_valid_token(TokenKind kind, const base::Sha256& secret_hash,
                                        uint64_t now_ms) override;
  std::optional<Token> find_operator_token(const TokenId& id, uint64_t now_ms) override;
  void touch_token(const TokenId& id, uint64_t now_ms) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
