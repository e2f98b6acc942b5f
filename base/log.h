// The process's log: one line per event, to standard error or a file, with a level and a UTC time.
// Thread-safe.  base::log().info("sync {} of {} committed", id, machine);
#pragma once

#include <spdlog/logger.h>

#include <string>

namespace base {

spdlog::logger& log();

// Call once, early in main(). `level` is trace, debug, info, warn or error; throws invalid_argument
// for another word. Secrets never go to the log.
void start_log(const std::string& program, const std::string& level);

}  // namespace base
