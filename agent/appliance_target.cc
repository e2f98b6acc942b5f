#include "agent/appliance_target.h"
#include "base/answered_error.h"
#include "base/transfer_upgrade.h"

#include "images/wire/transfer_client.h"

namespace agent {

ApplianceTarget::ApplianceTarget(const Enrollment& enrollment)
    : address_(enrollment.appliance.text()), client_(appliance_client(enrollment)) {}

std::unique_ptr<base::ByteStream> ApplianceTarget::connect() const {
  return client_.upgrade(
      {"GET", base::kTransferPath, {}, ""}, base::kTransferProtocol,
      [this](const base::HttpResponse& answer) {
        return base::error_of_answer(answer).with_context("the appliance " + address_ + " refused");
      });
}

std::optional<BasePoint> ApplianceTarget::last_point(const std::string& machine_name) {
  std::optional<images::wire::LastPoint> answer = images::query_last_point(connect(), machine_name);
  if (!answer) return std::nullopt;
  BasePoint last{answer->id, answer->time_ms, {}};
  for (const images::wire::LastPoint::Disk& disk : answer->disks)
    last.disks.push_back({disk.name, disk.size});
  return last;
}

std::unique_ptr<images::PointSink> ApplianceTarget::begin(const images::SyncPlan& plan) {
  return images::open_remote_sink(connect(), plan);
}

}  // namespace agent
