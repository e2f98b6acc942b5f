// What one connected agent may do with the appliance: see images::TransferHost. Private to the
// ingest.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "appliance/ingest/ingest.h"
#include "images/wire/transfer_server.h"

namespace appliance::ingest {

class AgentSession : public images::TransferHost {
 public:
  AgentSession(Ingest& ingest, base::ByteStream& stream, catalog::Host host);

  void authorize(const std::string& machine_name) override;
  std::optional<images::wire::LastPoint> last_point(const std::string& machine_name) override;
  std::vector<images::PointSummary> points(const std::string& machine_name) override;
  void authorize_copy(const images::PointOrigin& origin) override;
  std::unique_ptr<images::StoreSink> begin(const images::SyncPlan& plan) override;
  void on_progress(const images::SinkProgress& progress) override;
  void on_commit(const images::PointId& id, const images::PointDetails& details) override;
  std::unique_ptr<images::OpenedPoint> open_point(const images::wire::Ticket& ticket) override;

  // The session has ended; its sync, if one was running, failed with this error.
  void on_failure(const base::Error& error);

 private:
  images::StoreWriter& writer();
  // The instant VM that holds the machine's timeline. Throws busy if this host may not write to it,
  // unauthorized if the host is the appliance's own and there is no such VM.
  std::optional<TimelineHolder> holder_for_us(const std::string& machine_name);
  // A point that has the machine's definition: the booted one, otherwise the newest.
  std::optional<images::Point> point_with_definition(const std::string& machine_name,
                                                     const TimelineHolder& holder);

  Ingest& ingest_;
  base::ByteStream& stream_;
  const catalog::Host host_;
  std::shared_ptr<images::StoreWriter> writer_;
  std::unique_ptr<jobs::AttachedJob> job_;
  std::optional<std::stop_callback<std::function<void()>>> on_cancel_;
  bool ordered_ = false;  // then the agent reports progress with its polls
  std::atomic<bool> committed_{false};
};

}  // namespace appliance::ingest
