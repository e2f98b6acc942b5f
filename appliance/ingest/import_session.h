// What an operator who imports a machine may do with the appliance: see images::TransferHost. A
// point is added to a machine that belongs to no host, and that no instant VM runs: everything else
// would mix two histories. Private to the ingest.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "appliance/ingest/ingest.h"
#include "images/wire/transfer_server.h"

namespace appliance::ingest {

class ImportSession : public images::TransferHost {
 public:
  ImportSession(Ingest& ingest, base::ByteStream& stream, access::TenantName tenant,
                access::Requester requester);

  void authorize(const std::string& machine_name) override;
  std::optional<images::wire::LastPoint> last_point(const std::string& machine_name) override;
  std::vector<images::PointSummary> points(const std::string& machine_name) override;
  void authorize_copy(const images::PointOrigin& origin) override;
  std::unique_ptr<images::StoreSink> begin(const images::SyncPlan& plan) override;
  void on_progress(const images::SinkProgress& progress) override;
  void on_commit(const images::PointId& id, const images::PointDetails& details) override;

  // The session has ended; its import, if one was running, failed with this error.
  void on_failure(const base::Error& error);

 private:
  images::StoreWriter& writer();

  Ingest& ingest_;
  base::ByteStream& stream_;
  const access::TenantName tenant_;
  const access::Requester requester_;
  std::shared_ptr<images::StoreWriter> writer_;
  std::unique_ptr<jobs::AttachedJob> job_;
  std::optional<std::stop_callback<std::function<void()>>> on_cancel_;
  std::atomic<bool> is_cancelled_{false};
  std::atomic<bool> is_committed_{false};
};

}  // namespace appliance::ingest
