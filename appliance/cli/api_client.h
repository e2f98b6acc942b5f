// The command line's connection to an appliance: JSON requests over the unix socket or, remotely,
// over TLS with an operator's token. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/http_client.h"
#include "base/program.h"

namespace appliance::cli {

constexpr const char* kDefaultSocket = "/run/muletto/api.sock";

// --socket, --appliance, --token-file, --fingerprint, --tenant: for every command that uses an
// appliance.
void declare_connection(base::options::options_description_easy_init add);

class ApiClient {
 public:
  // Taken from the options, then $MULETTO_SOCKET, then the default socket. Connects at the first
  // request. Throws invalid_argument, not_found (the token's file).
  explicit ApiClient(const base::Arguments& arguments);

  // `path` follows /api/v1 and is already encoded: "/machines". They throw the error that the
  // appliance answers with, and unavailable if it does not answer.
  nlohmann::json get(const std::string& path) const { return request("GET", path, ""); }
  nlohmann::json post(const std::string& path, const nlohmann::json& body) const;
  nlohmann::json put(const std::string& path, const nlohmann::json& body) const;
  nlohmann::json remove(const std::string& path) const { return request("DELETE", path, ""); }
  // A new connection that speaks the transfer protocol, into the tenant that is meant.
  std::unique_ptr<base::ByteStream> open_transfer() const;
  // An answer that is not JSON.
  base::HttpResponse download(const std::string& path) const { return send("GET", path, ""); }

  // An answer of any size that is not JSON: each piece as it arrives. Throws as download(), and
  // unavailable if the answer breaks off.
  base::HttpResponse stream(const std::string& path,
                            const std::function<bool(std::string_view)>& on_piece) const;

  // An answer of JSON lines that may have no end: each line as it arrives, until the answer ends or
  // `on_line` returns false.
  void follow(const std::string& path,
              const std::function<bool(const nlohmann::json&)>& on_line) const;

 private:
  base::HttpRequest make_request(const std::string& method, const std::string& path) const;
  nlohmann::json request(const std::string& method, const std::string& path,
                         const std::string& body) const;
  base::HttpResponse send(const std::string& method, const std::string& path,
                          const std::string& body) const;
  // Calls the client; throws as the functions above.
  base::HttpResponse require_answer(const std::function<base::HttpResponse()>& call) const;

  std::unique_ptr<base::HttpClient> client_;
  std::string place_;  // for messages
  std::string token_;
  std::string tenant_;
};

}  // namespace appliance::cli
