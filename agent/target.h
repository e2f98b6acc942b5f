// Where the agent's points go: an appliance, over the network, or a store on this machine. Created
// once per sync, used by one thread; the sink it creates has its own rules (images/point_sink.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "images/ids.h"
#include "images/point_sink.h"

namespace agent {

struct BaseDisk {
  std::string name;
  uint64_t size = 0;  // bytes
};

// The target's newest point of a machine: the base of the next sync, and the only one that change
// tracking may continue from.
struct BasePoint {
  images::PointId id;
  uint64_t time_ms = 0;
  std::vector<BaseDisk> disks;
};

class Target {
 public:
  virtual ~Target() = default;

  // For people: "store /srv/store", "appliance 10.0.0.2:7443".
  virtual std::string description() const = 0;

  // The newest committed point of the machine; none if it has no point yet.
  virtual std::optional<BasePoint> last_point(const std::string& machine_name) = 0;

  // A sink for one new point. Destroy it before the target.
  virtual std::unique_ptr<images::PointSink> begin(const images::SyncPlan& plan) = 0;
};

}  // namespace agent
