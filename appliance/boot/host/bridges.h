// The bridges of the machine that VMs run on, and which stations are on them. Implementation:
// linux_bridges.h. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace appliance::boot {

// What a bridge has learned of a station; it forgets after five minutes.
struct ForwardingEntry {
  std::string bridge;
  std::string mac;
  uint64_t age_ms = 0;  // since it last sent something
};

class Bridges {
 public:
  virtual ~Bridges() = default;

  virtual bool has_bridge(const std::string& name) = 0;
  // The stations that the bridge has learned, except those of this host; none if there is no such
  // bridge.
  virtual std::vector<ForwardingEntry> forwarding_table(const std::string& bridge) = 0;
  // Asks the station with this MAC address to send something, so that the forwarding table shows
  // it: within half a second, if at all. Does not wait.
  virtual void solicit_reply(const std::string& bridge, const std::string& mac) = 0;
};

}  // namespace appliance::boot
