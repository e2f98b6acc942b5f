// The one map from base::Error to HTTP, and its JSON: {"error":{"code":"not_found","message":"…"}}.
#pragma once

#include "appliance/api/http/http.h"
#include "base/error.h"

namespace appliance::api {

int http_status(base::ErrorCode code);
// `reason` is for programs, where the code says too little: "revoked"; empty: none.
Response error_response(const base::Error& error, const std::string& reason = "");
// The same as 401, for whoever showed no credentials or wrong ones; others may not do it: 403.
Response challenge(const base::Error& error);

}  // namespace appliance::api
