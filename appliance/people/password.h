// Passwords of users: Argon2id (RFC 9106), by libargon2. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace appliance::people {

// The second recommendation of RFC 9106, 4, with one lane. Each check takes about 0.1 s.
struct PasswordCost {
  uint32_t memory_kib = 64 * 1024;
  uint32_t passes = 3;
};

constexpr size_t kMinPassword = 12;  // bytes
constexpr size_t kMaxPassword = 256;

// "$argon2id$v=19$m=65536,t=3,p=1$SALT$HASH", with a random salt of 16 bytes. Throws unavailable if
// there is not enough memory.
std::string encode_password(std::string_view password, const PasswordCost& cost);

// Costs what `encoded` says. False for a text that is not an encoded password. Compares in constant
// time.
bool password_matches(std::string_view password, const std::string& encoded);

// Throws invalid_argument, with what is asked of a password, for one that is too short or too long,
// not text, contains the user's name, or has fewer than five different characters.
void require_good_password(std::string_view password, std::string_view user_name);

}  // namespace appliance::people
