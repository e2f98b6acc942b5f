// Following a job of the appliance from the command line.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "appliance/cli/api_client.h"

namespace appliance::cli {

enum class FollowOutput {
  log,    // the job's log on standard output, progress on a terminal
  quiet,  // only progress on a terminal: the caller prints the outcome
};

// Returns the job if it has succeeded. Throws the job's own error if it failed or was cancelled,
// and cancelled on SIGINT, SIGTERM or SIGHUP, with what continues and how to end it.
nlohmann::json follow_job(const ApiClient& client, int64_t id, FollowOutput output);

// For an answer {"job": …}.
nlohmann::json follow_accepted(const ApiClient& client, const nlohmann::json& answer,
                               FollowOutput output);

}  // namespace appliance::cli
