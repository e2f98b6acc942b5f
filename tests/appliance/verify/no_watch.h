// A GuestWatch that sees nothing. Thread-safe.
#pragma once

#include "appliance/boot/host/guest_watch.h"

namespace appliance::verify {

class NoWatch : public boot::GuestWatch {
 public:
  std::optional<std::string> ask_agent(const std::string&, const std::string&,
                                       std::chrono::seconds) override {
    return std::nullopt;
  }
  boot::DiskCounters disk_counters(const std::string&) override { return {}; }
  boot::Reboots reboots(const std::string&) override { return {}; }
  void press_shift(const std::string&) override {}
  void lower_cpu_share(const std::string&) override {}
  void forget(const std::string&) override {}
  void remove_network(const std::string&) override {}
};

}  // namespace appliance::verify
