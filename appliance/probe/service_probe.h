// Asks a guest over the network whether a service answers. A port that merely accepts proves nothing where
// somebody else forwards it, so for HTTP an answer is read. Functions are thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace appliance::probe {

struct ProbePlan {
  std::optional<std::string> http_path;  // "/health": some answer below status 500; else a TCP connection
  uint16_t port = 80;
};

// What answered: "http://10.0.0.5:80/ answered 200", or nothing.
// Tries each address, at most `timeout` each.
std::optional<std::string> probe_service(const std::vector<std::string>& addresses, const ProbePlan& plan,
                                         std::chrono::milliseconds timeout);

// "/path", ":8080/path" or "http" words as `--http` takes them. Throws invalid_argument.
ProbePlan parse_http_probe(const std::string& text);

}  // namespace appliance::probe
