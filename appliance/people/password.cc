#include "appliance/people/password.h"

#include <argon2.h>
#include <fmt/format.h>

#include <set>
#include <vector>

#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::people {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint32_t kHashSize = 32, kSaltSize = 16, kLanes = 1;

[[noreturn]] void refuse_memory() {
  throw Error(ErrorCode::unavailable,
              "there is not enough memory to check a password; try again in a minute");
}

}  // namespace

std::string encode_password(std::string_view password, const PasswordCost& cost) {
  auto salt = base::random_array<kSaltSize>();
  std::vector<char> encoded(
      argon2_encodedlen(cost.passes, cost.memory_kib, kLanes, kSaltSize, kHashSize, Argon2_id));
  int result =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashSize, encoded.data(), encoded.size());
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) refuse_memory();
  if (result != ARGON2_OK)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("this password cannot be used: {}", argon2_error_message(result)));
  return encoded.data();
}

bool password_matches(std::string_view password, const std::string& encoded) {
  int result = argon2id_verify(encoded.c_str(), password.data(), password.size());
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) refuse_memory();
  return result == ARGON2_OK;
}

void require_good_password(std::string_view password, std::string_view user_name) {
  auto refuse = [](const std::string& problem) {
    throw Error(ErrorCode::invalid_argument, problem + "; choose another one");
  };
  if (password.size() < kMinPassword || password.size() > kMaxPassword)
    refuse(fmt::format("a password has {} to {} characters", kMinPassword, kMaxPassword));
  if (!base::is_valid_utf8(password)) refuse("this password is not text in UTF-8");
  if (std::set<char>(password.begin(), password.end()).size() < 5)
    refuse("this password has fewer than five different characters");
  if (!user_name.empty() && password.find(user_name) != std::string_view::npos)
    refuse("this password contains the user's name");
}

}  // namespace appliance::people
