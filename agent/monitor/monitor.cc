#include "agent/monitor/monitor.h"

#include <fmt/format.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"

namespace agent::monitor {
namespace {

constexpr size_t kMaxSentence = 300;  // bytes of QEMU's words in a message

}  // namespace

std::string command_text(const std::string& command, const nlohmann::json& arguments) {
  nlohmann::json message{{"execute", command}};
  if (!arguments.empty()) message["arguments"] = arguments;
  return base::dump_text(message);
}

nlohmann::json result_of(std::string_view answer, const std::string& command) {
  auto message = base::find_json(answer);
  if (!message || !message->is_object()) {
    throw base::Error(base::ErrorCode::unavailable,
                      fmt::format("QEMU's answer to {} cannot be read", command));
  }
  if (const nlohmann::json* error = base::find_field(*message, "error")) {
    std::string words = base::find_text(*error, "desc").value_or("it gave no reason");
    throw base::Error(base::ErrorCode::io, fmt::format("QEMU refused {}: {}", command,
                                                       base::clean_text(words, kMaxSentence)));
  }
  const nlohmann::json* result = base::find_field(*message, "return");
  return result == nullptr ? nlohmann::json::object() : *result;
}

}  // namespace agent::monitor
