// Users and their sessions in SQLite. Contract: people_records.h.
#pragma once

#include "appliance/catalog/people_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqlitePeopleRecords : public virtual PeopleRecords {
 public:
  // `database` outlives it.
  explicit SqlitePeopleRecords(Connection& database) : database_(database) {}

  bool has_users() override;
  std::vector<User> users(const TenantScope& scope) override;
  std::optional<User> find_user(std::string_view name) override;
  std::optional<User> find_user(const UserId& id) override;
  void add_user(const User& user) override;
  void add_first_user(const User& user) override;
  void change_user(const User& user) override;
  void set_password(const UserId& id, const std::string& encoded, uint64_t now_ms) override;
  void remove_user(const UserId& id) override;
  void note_sign_in(const UserId& id, const std::string& address, uint64_t now_ms) override;
  bool knows_address(const UserId& id, const std::string& address) override;
  std::optional<TotpSecret> find_totp(const UserId& id) override;
  void save_totp(const UserId& id, const std::optional<TotpSecret>& totp) override;
  bool use_totp_step(const UserId& id, uint64_t step) override;
  void save_recovery_codes(const UserId& id, const std::vector<base::Sha256>& hashes) override;
  bool use_recovery_code(const UserId& id, const base::Sha256& hash) override;
  void add_session(const Session& session, const base::Sha256& secret_hash) override;
  std::optional<Session> find_session(const base::Sha256& secret_hash) override;
  std::vector<Session> sessions() override;
  void touch_session(const SessionId& id, uint64_t now_ms) override;
  bool end_session(const SessionId& id) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
