#include "appliance/cli/api_client.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/certificates.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/text.h"
#include "base/transfer_upgrade.h"
#include "images/wire/transfer_format.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using base::options::value;

constexpr uint16_t kDefaultPort = 7443;
constexpr uint64_t kMaxTokenFile = 4096;  // bytes
constexpr int kFirstFailure = 400;
constexpr size_t kMaxLine = 1 << 20;  // bytes, of a followed answer

std::string read_token(const std::string& path) {
  base::Bytes bytes = base::read_file(base::real_file_system(), path, kMaxTokenFile);
  std::string token = base::trim(base::as_text(bytes));
  if (token.empty() || token.find_first_of("\r\n") != std::string::npos) {
    throw Error(ErrorCode::invalid_argument, path + " does not hold a token on one line");
  }
  return token;
}

Error answered_error(const base::HttpResponse& response, const std::string& place) {
  nlohmann::json body = base::find_json(response.body).value_or(nlohmann::json());
  if (const nlohmann::json* error = base::find_field(body, "error"); error && error->is_object()) {
    return Error(base::error_code_from_name(base::find_text(*error, "code").value_or("io")),
                 base::find_text(*error, "message").value_or("no reason given"));
  }
  return Error(ErrorCode::unavailable,
               fmt::format("{} answered {} without a reason", place, response.status));
}

Error no_answer(const std::string& place) {
  return Error(ErrorCode::unavailable,
               fmt::format("no appliance answers at {}: is mulettod running? (--socket and "
                           "--appliance choose another)",
                           place));
}

}  // namespace

void declare_connection(base::options::options_description_easy_init add) {
  add("socket", value<std::string>()->value_name("PATH"),
      "the appliance's socket on this machine (default: $MULETTO_SOCKET, or "
      "/run/muletto/api.sock)")("appliance", value<std::string>()->value_name("HOST:PORT"),
                                "an appliance on the network, instead of the socket")(
      "token-file", value<std::string>()->value_name("FILE"),
      "file with an operator's token; with --appliance")(
      "fingerprint", value<std::string>()->value_name("HEX"),
      "fingerprint of the appliance's authority; with --appliance")(
      "tenant", value<std::string>()->value_name("TENANT"),
      "the tenant that is meant (default: the tenant 'default')");
}

ApiClient::ApiClient(const base::Arguments& arguments)
    : tenant_(arguments.get_or<std::string>("tenant", "")) {
  if (!arguments.has("appliance")) {
    if (arguments.has("token-file") || arguments.has("fingerprint")) {
      throw Error(ErrorCode::invalid_argument,
                  "--token-file and --fingerprint go with --appliance");
    }
    const char* variable = std::getenv("MULETTO_SOCKET");
    std::string fallback = variable != nullptr && *variable != '\0' ? variable : kDefaultSocket;
    place_ = arguments.get_or<std::string>("socket", fallback);
    client_ = std::make_unique<base::HttpClient>(base::HttpClient::over_unix(place_));
    return;
  }
  if (arguments.has("socket"))
    throw Error(ErrorCode::invalid_argument, "give --socket or --appliance, not both");
  base::Endpoint endpoint = base::parse_endpoint(arguments.get("appliance"), kDefaultPort);
  place_ = endpoint.text();
  token_ = read_token(arguments.get("token-file"));
  base::TlsClientOptions tls;
  tls.authority_fingerprint = base::normalize_fingerprint(arguments.get("fingerprint"));
  client_ = std::make_unique<base::HttpClient>(
      base::HttpClient::over_tls(endpoint, base::TlsContext::client(tls)));
}

nlohmann::json ApiClient::post(const std::string& path, const nlohmann::json& body) const {
  return request("POST", path, base::dump_text(body));
}

nlohmann::json ApiClient::put(const std::string& path, const nlohmann::json& body) const {
  return request("PUT", path, base::dump_text(body));
}

nlohmann::json ApiClient::request(const std::string& method, const std::string& path,
                                  const std::string& body) const {
  base::HttpResponse response = send(method, path, body);
  auto answer = base::find_json(response.body, base::kOwnJsonLimits).value_or(nlohmann::json());
  if (!answer.is_object())
    throw Error(ErrorCode::corrupt, place_ + " answered something else than JSON");
  return answer;
}

base::HttpRequest ApiClient::make_request(const std::string& method,
                                          const std::string& path) const {
  base::HttpRequest request;
  request.method = method;
  request.path = "/api/v1" + path;
  if (!tenant_.empty()) {
    request.path += (path.find('?') == std::string::npos ? "?tenant=" : "&tenant=") +
                    base::encode_percent(tenant_);
  }
  if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
  return request;
}

base::HttpResponse ApiClient::require_answer(
    const std::function<base::HttpResponse()>& call) const {
  base::HttpResponse response;
  try {
    response = call();
  } catch (const Error& error) {
    bool no_socket = error.code() == ErrorCode::not_found;
    if (no_socket) throw no_answer(place_);
    throw;
  }
  if (response.status >= kFirstFailure) throw answered_error(response, place_);
  return response;
}

base::HttpResponse ApiClient::send(const std::string& method, const std::string& path,
                                   const std::string& body) const {
  base::HttpRequest request = make_request(method, path);
  request.body = body;
  return require_answer([&] { return client_->send(request); });
}

void ApiClient::follow(const std::string& path,
                       const std::function<bool(const nlohmann::json&)>& on_line) const {
  std::string rest;  // of a line that has not arrived in full
  bool goes_on = true;
  auto take = [&](std::string_view piece) {
    rest += piece;
    for (size_t end; goes_on && (end = rest.find('\n')) != std::string::npos;) {
      auto line = base::find_json(std::string_view(rest).substr(0, end));
      rest.erase(0, end + 1);
      if (!line || !line->is_object())
        throw Error(ErrorCode::corrupt, place_ + " sent a line that is not JSON");
      goes_on = on_line(*line);
    }
    if (rest.size() > kMaxLine)
      throw Error(ErrorCode::corrupt, place_ + " sent a line that does not end");
    return goes_on;
  };
  require_answer([&] { return client_->follow(make_request("GET", path), take); });
}

base::HttpResponse ApiClient::stream(const std::string& path,
                                     const std::function<bool(std::string_view)>& on_piece) const {
  return require_answer([&] { return client_->follow(make_request("GET", path), on_piece); });
}

std::unique_ptr<base::ByteStream> ApiClient::open_transfer() const {
  try {
    return client_->upgrade(
        make_request("GET", "/imports"), base::kTransferProtocol,
        [this](const base::HttpResponse& answer) { return answered_error(answer, place_); });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) throw no_answer(place_);
    throw;
  }
}

}  // namespace appliance::cli
