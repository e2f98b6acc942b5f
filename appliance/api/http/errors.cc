#include "appliance/api/http/errors.h"

#include <nlohmann/json.hpp>

namespace appliance::api {

int http_status(base::ErrorCode code) {
  switch (code) {
    case base::ErrorCode::invalid_argument: return 400;
    case base::ErrorCode::unauthorized: return 403;
    case base::ErrorCode::not_found: return 404;
    case base::ErrorCode::already_exists:
    case base::ErrorCode::busy:
    case base::ErrorCode::cancelled: return 409;
    case base::ErrorCode::unsupported: return 501;
    case base::ErrorCode::unavailable: return 503;
    case base::ErrorCode::no_space: return 507;
    case base::ErrorCode::corrupt:
    case base::ErrorCode::io: return 500;
  }
  return 500;
}

Response error_response(const base::Error& error, const std::string& reason) {
  nlohmann::json body;
  body["error"] = {{"code", base::error_code_name(error.code())}, {"message", error.message()}};
  if (!reason.empty()) body["error"]["reason"] = reason;
  return json_response(body, http_status(error.code()));
}

Response come_back_later(const base::Error& error, uint64_t wait_ms) {
  Response response = error_response(error);
  response.status = 429;
  response.headers["Retry-After"] = std::to_string((wait_ms + 999) / 1000);
  return response;
}

Response challenge(const base::Error& error, const std::string& reason) {
  Response response = error_response(error, reason);
  response.status = 401;
  response.headers["WWW-Authenticate"] = "Bearer";
  return response;
}

}  // namespace appliance::api
