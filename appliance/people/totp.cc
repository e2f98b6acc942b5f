#include "appliance/people/totp.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/check.h"
#include "base/text.h"

namespace appliance::people {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr uint32_t kCodeLimit = 1'000'000;  // six digits

}  // namespace

base::Bytes make_totp_secret() {
  auto random = base::random_array<kTotpSecretSize>();
  return base::Bytes(random.begin(), random.end());
}

uint64_t totp_step(uint64_t time_ms) { return time_ms / kTotpStepMs; }

// RFC 4226, 5.3.
std::string totp_code(base::ByteView secret, uint64_t step) {
  std::array<uint8_t, 8> counter;
  for (size_t i = 0; i < counter.size(); ++i)
    counter[i] = static_cast<uint8_t>(step >> (8 * (counter.size() - 1 - i)));
  std::array<uint8_t, 20> mac;
  unsigned size = 0;
  CHECK(HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(),
             counter.size(), mac.data(), &size) != nullptr);
  CHECK(size == mac.size());
  size_t at = mac[19] & 0xFu;
  uint32_t value = static_cast<uint32_t>(mac[at] & 0x7Fu) << 24 |
                   static_cast<uint32_t>(mac[at + 1]) << 16 |
                   static_cast<uint32_t>(mac[at + 2]) << 8 | static_cast<uint32_t>(mac[at + 3]);
  return fmt::format("{:06}", value % kCodeLimit);
}

std::optional<uint64_t> match_totp(base::ByteView secret, std::string_view code, uint64_t time_ms) {
  uint64_t now = totp_step(time_ms);
  std::optional<uint64_t> found;
  for (uint64_t step = now == 0 ? 0 : now - 1; step <= now + 1; ++step) {
    std::string expected = totp_code(secret, step);
    if (base::equal_in_constant_time(base::as_bytes(expected), base::as_bytes(code))) found = step;
  }
  return found;
}

std::string base32(base::ByteView bytes) {
  std::string text;
  uint32_t pending = 0, bits = 0;
  for (uint8_t byte : bytes) {
    pending = (pending << 8 | byte) & 0xFFFFu;
    for (bits += 8; bits >= 5; bits -= 5) text += kBase32[(pending >> (bits - 5)) & 31u];
  }
  if (bits > 0) text += kBase32[(pending << (5 - bits)) & 31u];
  return text;
}

std::string totp_address(base::ByteView secret, std::string_view user, std::string_view appliance) {
  std::string label =
      base::encode_percent(fmt::format("Muletto {}", appliance)) + ":" + base::encode_percent(user);
  return fmt::format("otpauth://totp/{}?secret={}&issuer={}", label, base32(secret),
                     base::encode_percent(fmt::format("Muletto {}", appliance)));
}

std::string make_code(size_t group_count) {
  std::string code;
  base::Bytes random(group_count * 4);
  base::fill_random(random);
  for (size_t i = 0; i < random.size(); ++i) {
    if (i > 0 && i % 4 == 0) code += '-';
    code += kBase32[random[i] & 31u];
  }
  return code;
}

std::vector<std::string> make_recovery_codes() {
  std::vector<std::string> codes;
  for (size_t i = 0; i < kRecoveryCodeCount; ++i) codes.push_back(make_code(4));
  return codes;
}

base::Sha256 hash_code(std::string_view code) {
  std::string plain;
  for (char letter : code) {
    if (letter == '-' || letter == ' ') continue;
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    if (letter == '0') letter = 'O';  // the alphabet has neither 0, 1 nor 8
    if (letter == '1') letter = 'I';
    if (letter == '8') letter = 'B';
    plain += letter;
  }
  return base::sha256(base::as_bytes(plain));
}

}  // namespace appliance::people
