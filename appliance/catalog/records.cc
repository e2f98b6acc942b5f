#include "appliance/catalog/records.h"

#include "base/enum_names.h"

namespace appliance::catalog {
namespace {

constexpr auto kTokenKinds = base::enum_names<TokenKind>(
    "a kind of token", {{TokenKind::enrolment, "enrolment"}, {TokenKind::operator_, "operator"}});
constexpr auto kJobStates =
    base::enum_names<JobState>("a state of a job", {{JobState::queued, "queued"},
                                                    {JobState::running, "running"},
                                                    {JobState::succeeded, "succeeded"},
                                                    {JobState::failed, "failed"},
                                                    {JobState::cancelled, "cancelled"}});

}  // namespace

std::string_view token_kind_name(TokenKind kind) { return kTokenKinds.name(kind); }
TokenKind token_kind_from_name(std::string_view name) { return kTokenKinds.value(name); }
std::string_view job_state_name(JobState state) { return kJobStates.name(state); }
JobState job_state_from_name(std::string_view name) { return kJobStates.value(name); }

}  // namespace appliance::catalog
