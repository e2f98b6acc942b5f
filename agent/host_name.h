// This machine's name, as points say where they were captured. Thread-safe.
#pragma once

#include <string>

namespace agent {

std::string host_name();

}  // namespace agent
