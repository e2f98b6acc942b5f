#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "appliance/api/routes/boot_options.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

constexpr uint64_t kMaxTimeoutMs = 24ull * 3'600'000;
constexpr size_t kMaxPath = 2000;  // bytes

// "/path" or ":8080/path".
boot::Service parse_http(const std::string& text) {
  boot::Service service;
  std::string path = text;
  if (text.starts_with(':')) {
    size_t slash = std::min(text.find('/'), text.size());
    auto result = std::from_chars(text.data() + 1, text.data() + slash, service.port);
    bool good = result.ec == std::errc() && result.ptr == text.data() + slash && service.port != 0;
    path = !good ? "" : slash == text.size() ? "/" : text.substr(slash);
  }
  if (!path.starts_with('/') || path.find_first_of(" \r\n\t") != std::string::npos ||
      path.size() > kMaxPath) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("'{}' is not a valid path; write it like /health or :8080/health",
                                  text.substr(0, 80)));
  }
  service.path = path;
  return service;
}

}  // namespace

recovery::WaitPlan parse_wait_plan(BodyFields& body) {
  recovery::WaitPlan plan;
  auto http = body.text("http");
  auto port = body.natural("tcp", 1, 65535);
  if (http && port) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "wait for 'http' or for 'tcp', not for both at once");
  }
  if (http) plan.service = parse_http(*http);
  if (port)
    plan.service = boot::Service{boot::Service::Kind::tcp, static_cast<uint16_t>(*port), ""};
  if (auto timeout = body.text("timeout")) plan.timeout_ms = base::parse_duration_ms(*timeout);
  if (plan.timeout_ms > kMaxTimeoutMs) {
    throw base::Error(base::ErrorCode::invalid_argument, "the timeout is longer than a day");
  }
  return plan;
}

}  // namespace appliance::api
