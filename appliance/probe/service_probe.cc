#include "appliance/probe/service_probe.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/socket_stream.h"

namespace appliance::probe {
namespace {

constexpr int kFirstServerFailure = 500;

std::optional<std::string> probe_address(const base::Endpoint& endpoint, const ProbePlan& plan,
                                         std::chrono::milliseconds timeout) {
  auto connect = [&]() -> std::unique_ptr<base::ByteStream> {
    return std::make_unique<base::SocketStream>(base::connect_tcp(endpoint, timeout));
  };
  if (!plan.http_path) {
    connect();
    return fmt::format("{} accepted a connection", endpoint.text());
  }
  base::HttpRequest request;
  request.path = *plan.http_path;
  base::HttpResponse response = base::HttpClient(connect, endpoint.host, timeout).send(request);
  if (response.status >= kFirstServerFailure) return std::nullopt;
  return fmt::format("http://{}{} answered {}", endpoint.text(), *plan.http_path, response.status);
}

}  // namespace

std::optional<std::string> probe_service(const std::vector<std::string>& addresses, const ProbePlan& plan,
                                         std::chrono::milliseconds timeout) {
  for (const std::string& address : addresses) {
    try {
      if (auto answer = probe_address({address, plan.port}, plan, timeout)) return answer;
    } catch (const base::Error& error) {
      base::log().trace("probe of {}: {}", address, error.message());  // not yet: the caller asks again
    }
  }
  return std::nullopt;
}

ProbePlan parse_http_probe(const std::string& text) {
  ProbePlan plan;
  std::string path = text;
  if (text.starts_with(':')) {
    size_t slash = text.find('/');
    std::string_view port = std::string_view(text).substr(1, slash == std::string::npos ? slash : slash - 1);
    auto result = std::from_chars(port.data(), port.data() + port.size(), plan.port);
    bool good = result.ec == std::errc() && result.ptr == port.data() + port.size() && plan.port != 0;
    path = good ? (slash == std::string::npos ? "/" : text.substr(slash)) : "";
  }
  if (!path.starts_with('/') || path.find_first_of(" \r\n\t") != std::string::npos || path.size() > 2000) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("'{}' is not a path to ask for; write it like /health or :8080/health",
                                  text.substr(0, 80)));
  }
  plan.http_path = path;
  return plan;
}

}  // namespace appliance::probe
