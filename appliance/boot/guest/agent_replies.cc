#include "appliance/boot/guest/agent_replies.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/json_access.h"

namespace appliance::boot {
namespace {

using nlohmann::json;

constexpr base::JsonLimits kLimits{.depth = 16, .size = 1 << 20, .value_count = 20'000};
constexpr size_t kMaxAddresses = 64;

// The content of the reply, or null.
json content_of(std::string_view reply) {
  std::optional<json> parsed = base::find_json(reply, kLimits);
  if (!parsed) return nullptr;
  const json* content = base::find_field(*parsed, "return");
  return content == nullptr ? json() : *content;
}

// As inet_ntop() writes it; empty if it is not an address.
std::string written_address(const std::string& text) {
  std::array<uint8_t, 16> raw{};
  std::array<char, INET6_ADDRSTRLEN> written{};
  int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(family, text.c_str(), raw.data()) != 1) return "";
  ::inet_ntop(family, raw.data(), written.data(), written.size());
  return written.data();
}

}  // namespace

std::vector<AddressClaim> read_agent_addresses(std::string_view reply) {
  std::vector<AddressClaim> claims;
  json content = content_of(reply);
  if (!content.is_array()) return claims;
  for (const json& card : content) {
    std::optional<std::string> mac = base::find_text(card, "hardware-address");
    if (!mac) continue;
    for (const json& each : base::find_list(card, "ip-addresses")) {
      std::string address = written_address(base::find_text(each, "ip-address").value_or(""));
      if (address.empty() || claims.size() >= kMaxAddresses) continue;
      uint64_t prefix = std::min<uint64_t>(base::find_natural(each, "prefix").value_or(24), 128);
      claims.push_back({*mac, std::move(address), static_cast<uint32_t>(prefix), false});
    }
  }
  return claims;
}

std::optional<int64_t> read_exec_number(std::string_view reply) {
  return base::find_integer(content_of(reply), "pid");
}

std::optional<int64_t> read_exec_status(std::string_view reply) {
  json content = content_of(reply);
  if (!base::find_flag(content, "exited").value_or(false)) return std::nullopt;
  return base::find_integer(content, "exitcode").value_or(-1);
}

}  // namespace appliance::boot
