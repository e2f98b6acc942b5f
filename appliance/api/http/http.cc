#include "appliance/api/http/http.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

std::string Request::query_value(const std::string& name) const {
  auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

uint64_t Request::query_number(const std::string& name, uint64_t fallback, uint64_t max) const {
  std::string text = query_value(name);
  if (text.empty()) return fallback;
  uint64_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value > max) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' must be a whole number from 0 to {}, not '{}'", name, max,
                            text.substr(0, 40)));
  }
  return value;
}

const std::string& Request::path_value(const std::string& name) const {
  auto found = path_values.find(name);
  CHECK(found != path_values.end());  // a handler asks only for words of its own route
  return found->second;
}

access::TenantName Request::tenant() const {
  std::string asked = query_value("tenant");
  std::optional<access::TenantName> only = scope().only();
  if (asked.empty()) return only.value_or(access::TenantName(access::kDefaultTenant));
  access::TenantName tenant(asked);
  if (scope().sees(tenant)) return tenant;
  throw Error(ErrorCode::unauthorized,
              only ? principal.name + " is only for the tenant '" + only->text() + "'"
                   : "without credentials no tenant can be chosen");
}

Response json_response(const nlohmann::json& body, int status) {
  Response response;
  response.status = status;
  // Names come from outside; what is not UTF-8 is replaced rather than thrown.
  response.body = base::dump_text(body) + "\n";
  return response;
}

std::string decode_percent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    bool whole = text.size() - i > 2;
    int high = whole ? hex_value(text[i + 1]) : -1;
    int low = whole ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      throw Error(ErrorCode::invalid_argument, "the address contains a broken %-escape");
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  if (out.find('\0') != std::string::npos || !base::is_valid_utf8(out)) {
    throw Error(ErrorCode::invalid_argument, "the address contains bytes that are not text");
  }
  return out;
}

Target parse_target(std::string_view target) {
  if (target.size() > kMaxTargetSize)
    throw Error(ErrorCode::invalid_argument, "the address is too long");
  size_t mark = target.find('?');
  Target result;
  result.path = std::string(target.substr(0, mark));
  if (mark == std::string_view::npos) return result;
  for (const std::string& field : base::split(target.substr(mark + 1), '&')) {
    if (field.empty()) continue;
    size_t equals = field.find('=');
    std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    for (char& c : value) c = c == '+' ? ' ' : c;
    result.query[decode_percent(field.substr(0, equals))] = decode_percent(value);
    if (result.query.size() > kMaxQueryFields) {
      throw Error(ErrorCode::invalid_argument, "the address has too many fields");
    }
  }
  return result;
}

}  // namespace appliance::api
