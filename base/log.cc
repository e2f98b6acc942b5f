#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "base/error.h"

namespace base {
namespace {

std::shared_ptr<spdlog::logger> make_logger(const std::string& program) {
  auto logger =
      std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-5l %n: %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

std::shared_ptr<spdlog::logger>& process_logger() {
  static std::shared_ptr<spdlog::logger> logger = make_logger("muletto");
  return logger;
}

}  // namespace

spdlog::logger& log() { return *process_logger(); }

void start_log(const std::string& program, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    throw Error(ErrorCode::invalid_argument,
                "there is no log level '" + level + "'; choose trace, debug, info, warn or error");
  }
  process_logger() = make_logger(program);
  process_logger()->set_level(parsed);
}

}  // namespace base
