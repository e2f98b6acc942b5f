// Who asked for a job or an instant VM. Values; thread-safe.
#pragma once

#include <string>
#include <utility>

namespace appliance::access {

// Has no default value: code that creates a job must say who asked for it.
class Requester {
 public:
  // For people to read: "root", "token 1a2b3c4d5e6f7788", "host alpha", "schedule".
  explicit Requester(std::string text) : text_(std::move(text)) {}
  static Requester schedule() { return Requester("schedule"); }  // the appliance itself
  static Requester host(const std::string& name) { return Requester("host " + name); }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace appliance::access
