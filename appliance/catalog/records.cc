#include "appliance/catalog/records.h"

#include <fmt/format.h>

#include <array>

namespace appliance::catalog {
namespace {

constexpr std::array<std::string_view, 5> kStates{"queued", "running", "succeeded", "failed",
                                                  "cancelled"};

}  // namespace

std::string_view token_kind_name(TokenKind kind) {
  return kind == TokenKind::enrolment ? "enrolment" : "operator";
}

TokenKind token_kind_from_name(std::string_view name) {
  if (name == "enrolment") return TokenKind::enrolment;
  if (name == "operator") return TokenKind::operator_;
  throw base::Error(
      base::ErrorCode::invalid_argument,
      fmt::format("'{}' is no kind of token; choose enrolment or operator", name.substr(0, 40)));
}

std::string_view job_state_name(JobState state) { return kStates[static_cast<size_t>(state)]; }

JobState job_state_from_name(std::string_view name) {
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (kStates[i] == name) return static_cast<JobState>(i);
  }
  throw base::Error(
      base::ErrorCode::invalid_argument,
      fmt::format(
          "'{}' is no state of a job; choose queued, running, succeeded, failed or cancelled",
          name.substr(0, 40)));
}

}  // namespace appliance::catalog
