// What a verdict was judged by, as JSON: the observations as the API shows them, and, beside them,
// the inputs that judge() had besides the observations, so that any verdict of the catalog can be
// judged again. Pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/verify/taught_text.h"
#include "appliance/verify/verdict.h"

namespace appliance::verify {

// Everything that judge() and the reading of consoles were given.
struct Judging {
  Evidence evidence;
  std::vector<Expectation> expected;
  VerdictLimits limits;
  TaughtTexts taught;
  uint64_t judged_at_ms = 0;                    // up to when the evidence was complete
  VerdictRule rule = VerdictRule::not_started;  // the one that decided
};

// The observations as the API shows them: an array.
std::string observations_text(const Evidence& evidence);
// The rest, an object, for catalog::Verification::judging.
std::string judging_text(const Judging& judging);

// Reads both. Nothing if `judging` is empty or of another version.
std::optional<Judging> find_judging(std::string_view observations, std::string_view judging);

// The parts, for exported cases. Numbers and words out of range are refused with invalid_argument.
nlohmann::json inputs_json(const Judging& judging);
void read_inputs(const nlohmann::json& inputs, Judging& judging);
nlohmann::json observation_json(const Observation& seen);
Observation read_observation(const nlohmann::json& entry);

}  // namespace appliance::verify
