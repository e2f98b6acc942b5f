// The second factor: one-time codes from a secret and the time (TOTP, RFC 6238: SHA-1, 30 seconds, six
// digits, which is what every authenticator app knows), and recovery codes for when the phone is gone.
// Pure functions, but for what is random; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"

namespace appliance::people {

constexpr uint64_t kTotpStepMs = 30'000;
constexpr size_t kTotpSecretSize = 20;  // bytes
constexpr size_t kRecoveryCodeCount = 10;

base::Bytes make_totp_secret();
uint64_t totp_step(uint64_t time_ms);
std::string totp_code(base::ByteView secret, uint64_t step);
// The step of which it is the code, if that is the present one or one beside it.
std::optional<uint64_t> match_totp(base::ByteView secret, std::string_view code, uint64_t time_ms);

std::string base32(base::ByteView bytes);  // RFC 4648, without padding
// otpauth://totp/…, for QR codes.
std::string totp_address(base::ByteView secret, std::string_view user, std::string_view appliance);

// Random letters and digits that people do not confuse, in groups of four: 5 bits each.
std::string make_code(size_t group_count);
std::vector<std::string> make_recovery_codes();  // of 80 bits each
// As it was typed: spaces, dashes and capitals make no difference.
base::Sha256 hash_code(std::string_view code);

}  // namespace appliance::people
