// The bridges of this machine, from /sys/class/net. Thread-safe.
#pragma once

#include <string_view>

#include "appliance/boot/host/bridges.h"

namespace appliance::boot {

class LinuxBridges : public Bridges {
 public:
  bool has_bridge(const std::string& name) override;
  std::vector<ForwardingEntry> forwarding_table(const std::string& bridge) override;
  void solicit_reply(const std::string& bridge, const std::string& mac) override;
};

// `table` is the content of /sys/class/net/BRIDGE/brforward: records of struct __fdb_entry
// (linux/if_bridge.h).
std::vector<ForwardingEntry> read_forwarding_table(const std::string& bridge,
                                                   std::string_view table);

}  // namespace appliance::boot
