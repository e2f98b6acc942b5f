// An HTTP request and its answer as the handlers see them: plain values, independent of Beast.
// Values; not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/access/requester.h"
#include "appliance/access/tenant_name.h"
#include "appliance/access/tenant_scope.h"
#include "appliance/api/http/principal.h"

namespace appliance::api {

// Limits on what clients may send.
constexpr size_t kMaxHeaderSize = 16 * 1024;  // bytes, all header lines together
constexpr size_t kMaxBodySize = 1024 * 1024;  // bytes
constexpr size_t kMaxTargetSize = 4096;       // bytes, path and query
constexpr size_t kMaxQueryFields = 32;

struct Request {
  std::string method;                              // "GET"
  std::string target;                              // as sent: path and query, percent-encoded
  std::map<std::string, std::string> query;        // decoded
  std::map<std::string, std::string> path_values;  // values for the {words} of the route, decoded
  std::string body;
  std::string range{};        // the header Range, as sent; empty: the whole
  bool accepts_gzip = false;  // the header Accept-Encoding names gzip
  Principal principal;
  std::string address{};  // the peer's, without a port; empty: the socket on this machine

  // The query's field; empty if it was not given.
  std::string query_value(const std::string& name) const;
  // A whole number from the query within [0, max]; throws invalid_argument.
  uint64_t query_number(const std::string& name, uint64_t fallback, uint64_t max) const;
  const std::string& path_value(const std::string& name) const;
  // The tenant that the request is about: ?tenant=, the one that the principal is limited to, or the
  // default one. Throws unauthorized for a tenant outside the principal's scope.
  access::TenantName tenant() const;
  // The tenants that the principal may see, for lists and for what is looked up by its id.
  const access::TenantScope& scope() const { return principal.scope; }
  access::Requester requester() const { return access::Requester(principal.name); }
};

class Takeover;  // takeover.h

// The next piece of an answer's body, empty at its end. Runs on a thread that may block, one call at
// a time, up to 1 MiB a piece. What it throws cuts the connection, so that the client sees that the
// answer is incomplete.
using BodyStream = std::function<std::string()>;

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;  // in addition to type and length
  BodyStream stream;                           // in place of `body`; empty: there is none
  std::optional<uint64_t> stream_size;         // bytes, if that is known before
  std::shared_ptr<Takeover> takeover;          // in place of an answer, for a WebSocket's upgrade
};

Response json_response(const nlohmann::json& body, int status = 200);

// Percent-decodes; throws invalid_argument for broken escapes, NUL bytes and invalid UTF-8.
std::string decode_percent(std::string_view text);

// Splits "path?a=1&b=2"; the path stays encoded. Throws invalid_argument.
struct Target {
  std::string path;
  std::map<std::string, std::string> query;
};
Target parse_target(std::string_view target);

}  // namespace appliance::api
