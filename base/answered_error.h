// The error that an appliance's answer with status 4xx or 5xx stands for. Function; thread-safe.
#pragma once

#include "base/error.h"
#include "base/http_client.h"

namespace base {

// Its body's {"error": {"code", "message"}}, shortened and without control characters, or a sentence
// about its status.
Error error_of_answer(const HttpResponse& answer);

}  // namespace base
