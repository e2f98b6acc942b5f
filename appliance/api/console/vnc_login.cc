#include "appliance/api/console/vnc_login.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clean_text.h"
#include "base/error.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
using base::Error;
using base::ErrorCode;

constexpr std::string_view kVersion = "RFB 003.008\n";
constexpr uint8_t kSecurityNone = 1, kSecurityPassword = 2;
constexpr size_t kKeySize = 8;
constexpr uint32_t kReasonLimit = 200;  // bytes

uint32_t big_endian(const std::array<uint8_t, 4>& bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

asio::awaitable<std::string> read_reason(const VncPeer& vm) {
  std::array<uint8_t, 4> size;
  co_await vm.read(size);
  base::Bytes reason(std::min(big_endian(size), kReasonLimit));
  co_await vm.read(reason);
  co_return base::clean_text(base::as_text(reason), kReasonLimit);
}

// The reason has a variable of its own: GCC 12 destroys a temporary twice if an awaited value is
// put into it in the same expression as a throw.
asio::awaitable<void> refuse(const VncPeer& vm, ErrorCode code) {
  std::string reason = co_await read_reason(vm);
  throw Error(code, "the VM's screen refuses the login: " + reason);
}

asio::awaitable<uint8_t> choose_security(const VncPeer& vm) {
  std::array<uint8_t, 1> count;
  co_await vm.read(count);
  if (count[0] == 0) co_await refuse(vm, ErrorCode::unavailable);
  base::Bytes types(count[0]);
  co_await vm.read(types);
  for (uint8_t wanted : {kSecurityPassword, kSecurityNone}) {
    if (std::find(types.begin(), types.end(), wanted) != types.end()) co_return wanted;
  }
  throw Error(ErrorCode::unavailable,
              "the VM's screen requires a login other than a password (vnc_tls or vnc_sasl "
              "in libvirt's qemu.conf)");
}

}  // namespace

std::array<uint8_t, 16> vnc_response(const std::array<uint8_t, 16>& challenge,
                                     const std::string& password) {
  std::array<uint8_t, 3 * kKeySize> key{};
  for (size_t i = 0; i < key.size(); ++i) {
    uint8_t byte =
        i % kKeySize < password.size() ? static_cast<uint8_t>(password[i % kKeySize]) : 0;
    for (int bit = 0; bit < 8; ++bit)
      key[i] |= static_cast<uint8_t>((byte >> bit & 1) << (7 - bit));
  }
  // Single DES is triple DES with three equal keys, which every OpenSSL still supports.
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(EVP_CIPHER_CTX_new(),
                                                                         EVP_CIPHER_CTX_free);
  std::array<uint8_t, 16> response{};
  int size = 0;
  bool done =
      cipher != nullptr &&
      EVP_EncryptInit_ex(cipher.get(), EVP_des_ede3_ecb(), nullptr, key.data(), nullptr) == 1 &&
      EVP_CIPHER_CTX_set_padding(cipher.get(), 0) == 1 &&
      EVP_EncryptUpdate(cipher.get(), response.data(), &size, challenge.data(),
                        static_cast<int>(challenge.size())) == 1;
  if (!done || size != static_cast<int>(response.size()))
    throw Error(ErrorCode::unsupported, "OpenSSL has no DES here, which VNC passwords need");
  return response;
}

asio::awaitable<void> log_in_to_vm(VncPeer vm, std::string password) {
  std::array<uint8_t, kVersion.size()> version;
  co_await vm.read(version);
  if (!base::as_text(version).starts_with("RFB 003."))
    throw Error(ErrorCode::unavailable, "the VM's screen does not speak VNC");
  co_await vm.write(base::as_bytes(kVersion));
  std::array<uint8_t, 1> security{co_await choose_security(vm)};
  co_await vm.write(security);
  if (security[0] == kSecurityPassword) {
    std::array<uint8_t, 16> challenge;
    co_await vm.read(challenge);
    co_await vm.write(vnc_response(challenge, password));
  }
  std::array<uint8_t, 4> result;
  co_await vm.read(result);
  if (big_endian(result) != 0) co_await refuse(vm, ErrorCode::unauthorized);
}

asio::awaitable<void> let_client_in(VncPeer client) {
  co_await client.write(base::as_bytes(kVersion));
  std::array<uint8_t, kVersion.size()> version;
  co_await client.read(version);
  std::string_view text = base::as_text(version);
  if (!text.starts_with("RFB 003."))
    throw Error(ErrorCode::invalid_argument, "the client does not speak VNC");
  std::string minor(text.substr(8, 3));
  if (minor >= "007") {
    const std::array<uint8_t, 2> types{1, kSecurityNone};
    co_await client.write(types);
    std::array<uint8_t, 1> choice;
    co_await client.read(choice);
    if (choice[0] != kSecurityNone)
      throw Error(ErrorCode::invalid_argument, "the client chose a login that was not offered");
    if (minor >= "008") co_await client.write(std::array<uint8_t, 4>{});  // SecurityResult: OK
  } else {
    co_await client.write(std::array<uint8_t, 4>{0, 0, 0, kSecurityNone});  // RFB 3.3: no choice
  }
  std::array<uint8_t, 1> client_init;
  co_await client.read(client_init);
}

}  // namespace appliance::api
