// Users, their second factors and their sessions. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/user_role.h"
#include "appliance/catalog/records.h"
#include "base/crypto.h"

namespace appliance::catalog {

using SessionId = images::Id<struct SessionTag, 8>;

struct User {
  UserId id;
  std::string name;  // unique in the appliance: people sign in with it
  access::UserRole role = access::UserRole::tenant_viewer;
  std::optional<TenantName> tenant;  // none: all tenants
  std::string note;
  bool disabled = false;
  std::string password;  // encoded by people/password.h
  uint64_t created_ms = 0;
  uint64_t password_ms = 0;  // when it was set
  std::optional<uint64_t> signed_in_ms;
  bool has_totp = false;  // and has confirmed it
  uint64_t recovery_code_count = 0;
};

struct TotpSecret {
  base::Bytes secret;
  bool confirmed = false;
};

// A person at a browser, or a program that signed in with a token.
struct Session {
  SessionId id;
  std::optional<UserId> user;
  std::optional<TokenId> token;  // one of the two
  uint64_t created_ms = 0;
  uint64_t used_ms = 0;
  std::string address;  // from which it was opened
};

class PeopleRecords {
 public:
  virtual ~PeopleRecords() = default;

  virtual bool has_users() = 0;
  // By name. A limited scope sees only users of its tenant.
  virtual std::vector<User> users(const TenantScope& scope) = 0;
  virtual std::optional<User> find_user(std::string_view name) = 0;
  virtual std::optional<User> find_user(const UserId& id) = 0;
  virtual void add_user(const User& user) = 0;  // throws already_exists
  // The same if there is no user at all yet; throws already_exists.
  virtual void add_first_user(const User& user) = 0;
  // Role, tenant, note and whether it is disabled. If anything but the note changes, all sessions of
  // the user end. Throws busy if no owner would be left who is not disabled.
  virtual void change_user(const User& user) = 0;
  // Ends all sessions of the user.
  virtual void set_password(const UserId& id, const std::string& encoded, uint64_t now_ms) = 0;
  // With its sessions and tokens. Throws busy as change_user().
  virtual void remove_user(const UserId& id) = 0;

  // From where the user signed in successfully: the newest kAddressesKept are known.
  virtual void note_sign_in(const UserId& id, const std::string& address, uint64_t now_ms) = 0;
  virtual bool knows_address(const UserId& id, const std::string& address) = 0;

  virtual std::optional<TotpSecret> find_totp(const UserId& id) = 0;
  // None removes it, with the recovery codes. All sessions of the user end when it is removed.
  virtual void save_totp(const UserId& id, const std::optional<TotpSecret>& totp) = 0;
  // False if that step, or a later one, was used before: a code is good for one sign-in.
  virtual bool use_totp_step(const UserId& id, uint64_t step) = 0;
  virtual void save_recovery_codes(const UserId& id, const std::vector<base::Sha256>& hashes) = 0;
  // False if there is no such code (any more).
  virtual bool use_recovery_code(const UserId& id, const base::Sha256& hash) = 0;

  virtual void add_session(const Session& session, const base::Sha256& secret_hash) = 0;
  virtual std::optional<Session> find_session(const base::Sha256& secret_hash) = 0;
  virtual std::vector<Session> sessions() = 0;  // newest first, also those that are over by age
  virtual void touch_session(const SessionId& id, uint64_t now_ms) = 0;
  virtual bool end_session(const SessionId& id) = 0;  // false if there was none

  static constexpr uint64_t kAddressesKept = 8;
};

}  // namespace appliance::catalog
