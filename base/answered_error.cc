#include "base/answered_error.h"

#include <fmt/format.h>

#include "base/clean_text.h"
#include "base/json_access.h"

namespace base {
namespace {

constexpr size_t kMaxSentence = 1000;  // bytes

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400: return ErrorCode::invalid_argument;
    case 401:
    case 403: return ErrorCode::unauthorized;
    case 404: return ErrorCode::not_found;
    case 409: return ErrorCode::busy;
    default: return ErrorCode::unavailable;
  }
}

}  // namespace

Error error_of_answer(const HttpResponse& answer) {
  nlohmann::json body = find_json(answer.body).value_or(nlohmann::json());
  if (const nlohmann::json* error = find_field(body, "error")) {
    auto code = find_text(*error, "code"), message = find_text(*error, "message");
    if (code && message)
      return Error(error_code_from_name(*code), clean_text(*message, kMaxSentence));
  }
  return Error(code_of_status(answer.status),
               fmt::format("it answered with HTTP status {}", answer.status));
}

}  // namespace base
