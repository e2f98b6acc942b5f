#include "appliance/people/people.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/people/setup_code.h"
#include "appliance/people/totp.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::people {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kTouchEveryMs = 60'000;  // each update is an fsync
constexpr size_t kMaxName = 64;             // bytes
constexpr size_t kMaxSessions = 32;         // of one user or token; the oldest ends
constexpr const char* kWrong = "the name or the password is wrong";
constexpr const char* kSetupName = "(the first owner)";

// Names are compared as they are, so they have one form.
bool is_name(std::string_view name) {
  auto fits = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '.' ||
           letter == '-' || letter == '_' || letter == '@';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), fits);
}

void require_name(std::string_view name) {
  if (is_name(name)) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("a user's name has 1 to {} small letters, digits, dots, dashes, underscores "
                  "and @, such as anna.berg@example.com",
                  kMaxName));
}

MustWait too_many_failures(uint64_t wait_ms) {
  return {fmt::format("there were too many wrong passwords or codes; try again in {}",
                      base::format_duration_ms((wait_ms + 999) / 1000 * 1000)),
          wait_ms};
}

base::Sha256 hash_secret(std::string_view secret) { return base::sha256(base::as_bytes(secret)); }

}  // namespace

access::Privileges privileges_of(const catalog::Token& token) {
  return access::privileges_of(token.role).in_common(access::privileges_of(token.made_by_role));
}

access::TenantScope scope_of(const catalog::Token& token) {
  return token.tenant_only ? access::TenantScope(token.tenant) : access::TenantScope::all();
}

access::TenantScope scope_of(const catalog::User& user) {
  return user.tenant ? access::TenantScope(*user.tenant) : access::TenantScope::all();
}

People::People(catalog::Catalog& catalog, PeopleOptions options, const base::Clock& clock)
    : catalog_(catalog), options_(std::move(options)), clock_(clock),
      nobodys_password_(encode_password(base::to_hex(base::random_array<16>()), options_.cost)),
      guard_(options_.guesses, clock) {}

bool People::check(const std::string& user, const std::string& address, bool is_known,
                   const std::string& password, const std::string& encoded) {
  admit(user, address, is_known);
  try {
    return compare(password, encoded);
  } catch (const base::Error&) {
    guard_.take_back(user, address, is_known);  // nothing was compared
    throw;
  }
}

bool People::compare(const std::string& password, const std::string& encoded) {
  constexpr int kAtOnce = 2, kWaiting = 2;
  constexpr uint64_t kComeBackMs = 2'000;
  {
    auto checks = checks_.lock();
    if (checks->running >= kAtOnce) {
      if (checks->waiting >= kWaiting)
        throw MustWait("many people sign in at this moment; try again in a few seconds",
                       kComeBackMs);
      ++checks->waiting;
      checks.wait(check_ended_, [&] { return checks->running < kAtOnce; });
      --checks->waiting;
    }
    ++checks->running;
  }
  auto end = [this] {
    --checks_.lock()->running;
    check_ended_.notify_one();
  };
  try {
    bool matches = password.size() <= kMaxPassword && password_matches(password, encoded);
    end();
    return matches;
  } catch (...) {
    end();
    throw;
  }
}

void People::admit(const std::string& user, const std::string& address, bool is_known) {
  if (uint64_t wait_ms = guard_.begin(user, address, is_known)) throw too_many_failures(wait_ms);
}

bool People::takes_code(const catalog::User& user, const std::string& code) {
  constexpr size_t kTotpDigits = 6;
  auto totp = catalog_.find_totp(user.id);
  std::string typed = base::trim(code);
  if (totp && typed.size() == kTotpDigits) {
    auto step = match_totp(totp->secret, typed, clock_.wall_ms());
    return step && catalog_.use_totp_step(user.id, *step);
  }
  if (!catalog_.use_recovery_code(user.id, hash_code(typed))) return false;
  base::log().warn("the user {} signs in with a recovery code", user.name);
  return true;
}

NewSession People::sign_in(const Credentials& given, const std::string& address) {
  // Names that nobody can have are counted together. A phone begins names with a capital.
  std::string name = base::trim(given.user);
  for (char& letter : name)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  if (!is_name(name)) name = "(not a name)";
  auto user = catalog_.find_user(name);
  std::string from = counted_address(address);
  bool is_known = user && catalog_.knows_address(user->id, from);
  bool matches =
      check(name, address, is_known, given.password, user ? user->password : nobodys_password_);
  if (!matches || !user || user->disabled) throw WrongCredentials(kWrong, "");
  if (user->has_totp && given.code.empty()) {
    guard_.take_back(name, address, is_known);
    throw WrongCredentials("a code from the authenticator app, or a recovery code, is needed",
                           "code-needed");
  }
  if (user->has_totp && !takes_code(*user, given.code))
    throw WrongCredentials("the code is wrong, or was used before; wait for the next one",
                           "code-wrong");
  guard_.succeeded(name, address, is_known);
  catalog_.note_sign_in(user->id, from, clock_.wall_ms());
  catalog::Session session;
  session.user = user->id;
  return open(session, address);
}

NewSession People::sign_in_with_token(std::string_view token, const std::string& address) {
  constexpr const char* kTokens = "(a token)";
  admit(kTokens, address, true);
  auto found = catalog_.find_valid_token(catalog::TokenKind::operator_,
                                         hash_secret(base::trim(token)), clock_.wall_ms());
  if (!found) throw WrongCredentials("the token is wrong, expired or revoked", "");
  guard_.succeeded(kTokens, address, true);
  catalog_.touch_token(found->id, clock_.wall_ms());
  catalog::Session session;
  session.token = found->id;
  return open(session, address);
}

NewSession People::open(catalog::Session session, const std::string& address) {
  session.id = catalog::SessionId::random();
  session.created_ms = session.used_ms = clock_.wall_ms();
  session.address = address;
  NewSession opened;
  opened.secret = "ms_" + base::to_hex(base::random_array<32>());
  catalog_.add_session(session, hash_secret(opened.secret));
  size_t count = 0;
  for (const catalog::Session& each : catalog_.sessions()) {
    if (each.user != session.user || each.token != session.token) continue;
    if (++count > kMaxSessions) catalog_.end_session(each.id);
  }
  auto who = describe(session, session.created_ms);
  if (!who) throw WrongCredentials(kWrong, "");  // disabled at this very moment
  opened.who = std::move(*who);
  return opened;
}

// A time in the future, of a wrong clock, counts as long past: the session has ended.
std::optional<SignedIn> People::describe(const catalog::Session& session, uint64_t now_ms) {
  if (base::has_passed(session.created_ms, options_.session_lifetime_ms, now_ms) ||
      base::has_passed(session.used_ms, options_.session_idle_ms, now_ms))
    return std::nullopt;
  SignedIn who;
  who.session = session;
  who.ends_ms = session.created_ms + options_.session_lifetime_ms;
  if (session.user) {
    auto user = catalog_.find_user(*session.user);
    if (!user || user->disabled) return std::nullopt;
    who.name = "user " + user->name;
    who.user = user->id;
    who.role = user->role;
    who.privileges = access::privileges_of(user->role);
    who.scope = scope_of(*user);
    return who;
  }
  auto token = session.token ? catalog_.find_operator_token(*session.token, now_ms) : std::nullopt;
  if (!token) return std::nullopt;
  who.name = "token " + token->id.hex();
  who.user = token->made_by;
  who.role = token->role;
  who.privileges = privileges_of(*token);
  who.scope = scope_of(*token);
  return who;
}

std::optional<SignedIn> People::find(std::string_view secret) {
  auto session = catalog_.find_session(hash_secret(secret));
  if (!session) return std::nullopt;
  uint64_t now_ms = clock_.wall_ms();
  auto who = describe(*session, now_ms);
  if (!who) {
    catalog_.end_session(session->id);
  } else if (base::has_passed(session->used_ms,
                              std::min(kTouchEveryMs, options_.session_idle_ms / 4), now_ms)) {
    catalog_.touch_session(session->id, now_ms);
  }
  return who;
}

std::vector<SignedIn> People::sessions() {
  std::vector<SignedIn> found;
  uint64_t now_ms = clock_.wall_ms();
  for (const catalog::Session& session : catalog_.sessions()) {
    if (auto who = describe(session, now_ms)) found.push_back(std::move(*who));
  }
  return found;
}

void People::require_password(const catalog::User& user, const std::string& password,
                              const std::string& address) {
  bool is_known = catalog_.knows_address(user.id, counted_address(address));
  if (!check(user.name, address, is_known, password, user.password))
    throw WrongCredentials("the present password is wrong", "");
  guard_.succeeded(user.name, address, is_known);
}

catalog::User People::add_user(catalog::User user, const std::string& password) {
  require_name(user.name);
  require_good_password(password, user.name);
  user.id = catalog::UserId::random();
  user.password = encode_password(password, options_.cost);
  user.created_ms = user.password_ms = clock_.wall_ms();
  catalog_.add_user(user);
  return user;
}

void People::set_password(const catalog::User& user, const std::string& password) {
  require_good_password(password, user.name);
  catalog_.set_password(user.id, encode_password(password, options_.cost), clock_.wall_ms());
}

std::optional<std::string> People::setup_code() const {
  return find_setup_code(options_.setup_code_path);
}

catalog::User People::set_up(const std::string& code, const std::string& name,
                             const std::string& password, const std::string& address) {
  if (!is_first_start())
    throw Error(ErrorCode::already_exists, "this appliance has users already; sign in as an owner");
  admit(kSetupName, address, false);
  if (!is_setup_code(options_.setup_code_path, code))
    throw WrongCredentials("the code is wrong; 'muletto setup code' on the appliance shows it", "");
  guard_.succeeded(kSetupName, address, false);
  require_name(name);
  require_good_password(password, name);
  catalog::User user;
  user.id = catalog::UserId::random();
  user.name = name;
  user.role = access::UserRole::owner;
  user.password = encode_password(password, options_.cost);
  user.created_ms = user.password_ms = clock_.wall_ms();
  catalog_.add_first_user(user);
  settle_setup_code(catalog_, options_.setup_code_path);
  return user;
}

base::Bytes People::begin_totp(const catalog::User& user) {
  if (user.has_totp)
    throw Error(ErrorCode::already_exists,
                fmt::format("'{}' has a second factor; remove it first", user.name));
  base::Bytes secret = make_totp_secret();
  catalog_.save_totp(user.id, catalog::TotpSecret{secret, false});
  return secret;
}

std::vector<std::string> People::confirm_totp(const catalog::User& user, const std::string& code,
                                              const std::string& address) {
  auto totp = catalog_.find_totp(user.id);
  if (!totp || totp->confirmed)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("no second factor of '{}' waits for its first code; begin one first",
                            user.name));
  admit(user.name, address, true);
  auto step = match_totp(totp->secret, base::trim(code), clock_.wall_ms());
  if (!step || !catalog_.use_totp_step(user.id, *step))
    throw WrongCredentials(
        "the code is wrong; if the app and this appliance show different times, set the clock",
        "code-wrong");
  guard_.succeeded(user.name, address, true);
  std::vector<std::string> codes = make_recovery_codes();
  std::vector<base::Sha256> hashes;
  for (const std::string& each : codes) hashes.push_back(hash_code(each));
  catalog_.save_recovery_codes(user.id, hashes);
  totp->confirmed = true;
  catalog_.save_totp(user.id, *totp);
  return codes;
}

std::vector<alerts::Condition> People::conditions() {
  constexpr size_t kNamed = 20;
  std::vector<alerts::Condition> found;
  auto add = [&](const std::string& subject, const std::string& message) {
    found.push_back(
        {alerts::kGuessing, access::TenantName(access::kDefaultTenant), subject, message});
  };
  std::vector<GuessGuard::Waiting> waiting = guard_.waiting();
  for (const GuessGuard::Waiting& each : waiting) {
    if (found.size() == kNamed) break;
    add(each.what, fmt::format("{} wrong passwords or codes in a row: {} is kept waiting",
                               each.failures, each.what));
  }
  if (waiting.size() > kNamed)
    add("others", fmt::format("{} more are kept waiting after wrong passwords or codes",
                              waiting.size() - kNamed));
  return found;
}

}  // namespace appliance::people
