// The only mapping from base::Error to HTTP, and its JSON:
// {"error":{"code":"not_found","message":"…"}}.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/api/http/http.h"
#include "base/error.h"

namespace appliance::api {

int http_status(base::ErrorCode code);
// `reason` is for programs, if the code is not specific enough: "revoked"; empty: none.
Response error_response(const base::Error& error, const std::string& reason = "");
// The same with 401 for missing or invalid credentials; valid ones without the right get 403.
Response challenge(const base::Error& error, const std::string& reason = "");
// 429: the peer is to wait.
Response come_back_later(const base::Error& error, uint64_t wait_ms);

}  // namespace appliance::api
