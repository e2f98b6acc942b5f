// An appliance as the agent's target: each query and each sync uses a connection of its own, so
// that one object outlives restarts of the appliance. Errors: images/wire/transfer_client.h; and
// unauthorized if the appliance refuses this host's certificate.
#pragma once

#include <memory>
#include <string>

#include "agent/enrollment.h"
#include "agent/target.h"

namespace agent {

class ApplianceTarget : public Target {
 public:
  explicit ApplianceTarget(const Enrollment& enrollment);

  std::string description() const override { return "appliance " + address_; }
  std::optional<BasePoint> last_point(const std::string& machine_name) override;
  std::unique_ptr<images::PointSink> begin(const images::SyncPlan& plan) override;

  // A connection that speaks the transfer protocol from its first byte. Throws what the appliance
  // answered, and unavailable.
  std::unique_ptr<base::ByteStream> connect() const;

 private:
  std::string address_;
  base::HttpClient client_;
};

}  // namespace agent
