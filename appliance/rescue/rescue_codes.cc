#include "appliance/rescue/rescue_codes.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace appliance::rescue {
namespace {

using base::Error;
using base::ErrorCode;

// Without letters that are taken for digits, or for each other: 32 of them.
constexpr std::string_view kLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kLetterCount = 16, kGroup = 4;

std::string make_code() {
  auto random = base::random_array<kLetterCount>();
  std::string code;
  for (size_t i = 0; i < kLetterCount; ++i) {
    if (i > 0 && i % kGroup == 0) code += '-';
    code += kLetters[random[i] % kLetters.size()];
  }
  return code;
}

// As it was made, however it was typed.
std::string plain(std::string_view typed) {
  std::string code;
  for (char c : typed.substr(0, 4 * kLetterCount)) {
    if (c == '-' || c == ' ') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    code += c;
  }
  return code;
}

base::Sha256 digest_of(std::string_view secret) { return base::sha256(base::as_bytes(secret)); }

}  // namespace

void RescueCodes::remove_ended(State& state) const {
  uint64_t now = clock_.steady_ms();
  std::erase_if(state.entries,
                [now](const auto& each) { return now >= each.second.ends_steady_ms; });
}

RescueCodes::Made RescueCodes::make(const RescueOrder& order, const access::Requester& requester) {
  Made made;
  made.secret = make_code();
  auto state = state_.lock();
  remove_ended(*state);
  if (state->entries.size() >= kMaxCodes) {
    throw Error(ErrorCode::busy,
                "too many rescue codes are in use; revoke some with 'muletto rescue revoke'");
  }
  Entry entry;
  entry.code = {state->last_id + 1,
                order.tenant,
                order.machines,
                requester.text(),
                clock_.wall_ms() + order.lifetime_ms,
                false};
  entry.digest = digest_of(plain(made.secret));
  entry.ends_steady_ms = clock_.steady_ms() + order.lifetime_ms;
  made.code = entry.code;
  state->entries.emplace(++state->last_id, std::move(entry));
  return made;
}

RescueCodes::Made RescueCodes::exchange(std::string_view code) {
  base::Sha256 digest = digest_of(plain(code));
  Made made;
  made.secret = std::string(kSessionPrefix) + base::to_hex(base::random_array<32>());
  auto state = state_.lock();
  remove_ended(*state);
  auto found = std::find_if(state->entries.begin(), state->entries.end(), [&](const auto& each) {
    return !each.second.code.is_used && each.second.digest == digest;
  });
  if (found == state->entries.end()) {
    throw Error(ErrorCode::unauthorized,
                "the code is wrong, was used, or has expired; make another one on the appliance "
                "with 'muletto rescue code MACHINE'");
  }
  Entry& entry = found->second;
  entry.code.is_used = true;
  entry.code.expires_ms = clock_.wall_ms() + kSessionMs;
  entry.ends_steady_ms = clock_.steady_ms() + kSessionMs;
  entry.digest = digest_of(made.secret);
  made.code = entry.code;
  return made;
}

std::optional<RescueCode> RescueCodes::find_session(std::string_view secret) {
  if (!secret.starts_with(kSessionPrefix)) return std::nullopt;
  base::Sha256 digest = digest_of(secret);
  auto state = state_.lock();
  remove_ended(*state);
  for (const auto& [id, entry] : state->entries) {
    if (entry.code.is_used && entry.digest == digest) return entry.code;
  }
  return std::nullopt;
}

std::vector<RescueCode> RescueCodes::list(const access::TenantScope& scope) {
  std::vector<RescueCode> codes;
  auto state = state_.lock();
  remove_ended(*state);
  for (const auto& [id, entry] : state->entries)
    if (scope.sees(entry.code.tenant)) codes.push_back(entry.code);
  return codes;
}

void RescueCodes::revoke(uint64_t id, const access::TenantScope& scope) {
  auto state = state_.lock();
  remove_ended(*state);
  auto found = state->entries.find(id);
  if (found == state->entries.end() || !scope.sees(found->second.code.tenant)) {
    throw Error(ErrorCode::not_found,
                "there is no rescue code " + std::to_string(id) + "; see 'muletto rescue list'");
  }
  state->entries.erase(found);
}

}  // namespace appliance::rescue
