// How people sign in, and what their sessions are worth. Thread-safe.
//
// A session is a random secret of 256 bits, of which only the hash is stored. It ends when it was not
// used for a while, at its full age, when it is ended by somebody, and when its user's password, role,
// tenant or second factor is changed or the user is disabled or removed. A session that was opened with
// a token ends with the token.
//
// Checking a password takes memory and time on purpose. Two are checked at once, and two more wait;
// whoever comes then is told to try again, so that strangers cannot take the handlers' threads.
#pragma once

#include <condition_variable>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/privilege.h"
#include "appliance/access/tenant_scope.h"
#include "appliance/alerts/conditions.h"
#include "appliance/catalog/catalog.h"
#include "appliance/people/guess_guard.h"
#include "appliance/people/password.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/guarded.h"

namespace appliance::people {

struct PeopleOptions {
  uint64_t session_idle_ms = 3'600'000;
  uint64_t session_lifetime_ms = 12 * 3'600'000;
  PasswordCost cost{};
  GuessLimits guesses{};
  std::string setup_code_path;  // STATE/setup-code
  std::string appliance_name;   // for authenticator apps
};

// Name, password, code or token is wrong, or a code is missing: `reason` is "code-needed" then, and
// "code-wrong" for a wrong one. The answer is 401.
class WrongCredentials : public base::Error {
 public:
  WrongCredentials(const std::string& message, std::string why)
      : Error(base::ErrorCode::unauthorized, message), reason(std::move(why)) {}
  std::string reason;
};

// Too many failures, or too many at once. The answer is 429.
class MustWait : public base::Error {
 public:
  MustWait(const std::string& message, uint64_t milliseconds)
      : Error(base::ErrorCode::busy, message), wait_ms(milliseconds) {}
  uint64_t wait_ms;
};

// Whose session it is, and what it may do now.
struct SignedIn {
  catalog::Session session;
  std::string name;  // "user anna", "token 1a2b3c4d5e6f7788"
  access::UserRole role = access::UserRole::tenant_viewer;
  access::Privileges privileges;
  access::TenantScope scope;
  // Who it is, or who made the token; none: root made it.
  std::optional<catalog::UserId> user;
  uint64_t ends_ms = 0;  // at its full age
};

struct NewSession {
  SignedIn who;
  std::string secret;  // exists nowhere else
};

struct Credentials {
  std::string user, password, code;  // the code may be empty
};

// What a token may do now: never more than the user who made it.
access::Privileges privileges_of(const catalog::Token& token);
access::TenantScope scope_of(const catalog::Token& token);
access::TenantScope scope_of(const catalog::User& user);

class People {
 public:
  // Catalog and clock outlive it.
  People(catalog::Catalog& catalog, PeopleOptions options,
         const base::Clock& clock = base::system_clock());

  // Both throw WrongCredentials and MustWait. `address` is the peer's, without a port.
  NewSession sign_in(const Credentials& given, const std::string& address);
  NewSession sign_in_with_token(std::string_view token, const std::string& address);
  // None: there is no such session (any more). Counts as a use.
  std::optional<SignedIn> find(std::string_view secret);
  // The sessions that have not ended, newest first, with whose they are.
  std::vector<SignedIn> sessions();

  // Checks the user's present password before something important is done. Throws as sign_in().
  void require_password(const catalog::User& user, const std::string& password,
                        const std::string& address);
  // A new user with this password; the name is checked. Throws invalid_argument, already_exists.
  catalog::User add_user(catalog::User user, const std::string& password);
  void set_password(const catalog::User& user, const std::string& password);

  // Whether the first owner is still to be made.
  bool is_first_start() { return !catalog_.has_users(); }
  std::optional<std::string> setup_code() const;
  // Makes the first owner. Throws WrongCredentials, MustWait, already_exists, invalid_argument.
  catalog::User set_up(const std::string& code, const std::string& name,
                       const std::string& password, const std::string& address);

  // Begins a second factor: a new secret, which counts once confirm_totp() has seen a code of it.
  // Throws already_exists if there is one that counts.
  base::Bytes begin_totp(const catalog::User& user);
  // Returns the recovery codes, which are shown once. Throws WrongCredentials, MustWait,
  // invalid_argument if none was begun.
  std::vector<std::string> confirm_totp(const catalog::User& user, const std::string& code,
                                        const std::string& address);

  // An alert while somebody is kept waiting because of many wrong passwords.
  std::vector<alerts::Condition> conditions();

  const PeopleOptions& options() const { return options_; }

 private:
  struct Checks {
    int running = 0, waiting = 0;
  };
  // Whether the password is right; counts an attempt, which the caller takes back on success.
  bool check(const std::string& user, const std::string& address, bool is_known,
             const std::string& password, const std::string& encoded);
  bool compare(const std::string& password, const std::string& encoded);
  void admit(const std::string& user, const std::string& address, bool is_known);
  bool takes_code(const catalog::User& user, const std::string& code);
  std::optional<SignedIn> describe(const catalog::Session& session, uint64_t now_ms);
  NewSession open(catalog::Session session, const std::string& address);

  catalog::Catalog& catalog_;
  const PeopleOptions options_;
  const base::Clock& clock_;
  const std::string nobodys_password_;  // checked for names that nobody has: it takes the same time
  GuessGuard guard_;
  base::Guarded<Checks> checks_;
  std::condition_variable check_ended_;
};

}  // namespace appliance::people
