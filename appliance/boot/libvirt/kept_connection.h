// A connection to libvirt that is opened when it is first needed, and again when it was lost.
// Thread-safe.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/guarded.h"

namespace appliance::boot::libvirt {

using Connection = std::shared_ptr<virConnect>;

// libvirt's error message for the last failed call of this thread.
std::string last_error_message();

class KeptConnection {
 public:
  // `on_open`, if there is one, is called with each new connection, before it is used.
  explicit KeptConnection(std::string uri, std::function<void(virConnectPtr)> on_open = {})
      : uri_(std::move(uri)), on_open_(std::move(on_open)) {}

  // It was alive a moment ago. Throws unavailable.
  Connection now();
  // How often it was opened: increases each time it had been lost.
  uint32_t opened_count() { return state_.lock()->opened_count; }

 private:
  struct State {
    Connection connection;
    uint32_t opened_count = 0;
  };

  std::string uri_;
  std::function<void(virConnectPtr)> on_open_;
  base::Guarded<State> state_;  // held while libvirtd is called to open it
};

}  // namespace appliance::boot::libvirt
