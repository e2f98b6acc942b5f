#include "appliance/ingest/import_session.h"

#include <fmt/format.h>

#include "appliance/ingest/newest_point.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::ingest {

using base::Error;
using base::ErrorCode;

ImportSession::ImportSession(Ingest& ingest, base::ByteStream& stream, access::TenantName tenant,
                             access::Requester requester)
    : ingest_(ingest), stream_(stream), tenant_(std::move(tenant)),
      requester_(std::move(requester)) {}

images::StoreWriter& ImportSession::writer() {
  if (!writer_) writer_ = ingest_.stores_.writer(tenant_);
  return *writer_;
}

void ImportSession::authorize(const std::string& machine_name) {
  base::check_name(machine_name, "machine's name");
  if (ingest_.timelines_ != nullptr) {
    if (auto holder = ingest_.timelines_->holder(tenant_, machine_name)) {
      throw Error(ErrorCode::busy,
                  fmt::format("'{}' runs as the instant VM {}, whose syncs continue its timeline; "
                              "import under another name (--machine)",
                              machine_name, holder->boot));
    }
  }
  auto machine = ingest_.catalog_.find_machine(tenant_, machine_name);
  if (machine && machine->host) {
    throw Error(ErrorCode::busy,
                fmt::format("'{0}' belongs to a host, whose agent makes its points; import under "
                            "another name (--machine), or take it away from the host: muletto "
                            "machine assign {0} --nobody",
                            machine_name));
  }
}

std::optional<images::wire::LastPoint> ImportSession::last_point(const std::string& machine_name) {
  return newest_point(writer().reader(), machine_name);
}

std::vector<images::PointSummary> ImportSession::points(const std::string& machine_name) {
  return writer().reader().points_of(machine_name);
}

void ImportSession::authorize_copy(const images::PointOrigin&) {
  throw Error(ErrorCode::unauthorized, "an import makes a new point; it adds no copies of others");
}

std::unique_ptr<images::StoreSink> ImportSession::begin(const images::SyncPlan& plan) {
  writer_ = ingest_.stores_.require_writable(tenant_);
  // For limits and their messages, an import is a sync of a host that is called after the operator.
  catalog::Host sender;
  sender.tenant = tenant_;
  sender.name = requester_.text();
  if (ingest_.space_ != nullptr) ingest_.space_->claim(sender, 0);
  std::unique_ptr<images::StoreSink> sink = writer().begin(plan);
  if (ingest_.space_ != nullptr) sink = guarded_sink(std::move(sink), *ingest_.space_, sender);
  job_ = ingest_.jobs_.attach({"import", tenant_, plan.machine_name, requester_});
  on_cancel_.emplace(job_->context().stop(), [this] {
    is_cancelled_ = true;
    stream_.abort();
  });
  job_->context().log(
      fmt::format("{} sends {}", requester_.text(), base::format_count(plan.disks.size(), "disk")));
  return sink;
}

void ImportSession::on_progress(const images::SinkProgress& progress) {
  if (job_ && !is_committed_) job_->context().set_progress({progress.bytes_sent, 0, "receiving"});
}

// The point exists, whatever happens here: the catalog's row is derived and would be restored at
// the next start.
void ImportSession::on_commit(const images::PointId& id, const images::PointDetails&) {
  is_committed_ = true;
  try {
    ingest_.record_commit(tenant_, writer().reader().read_point(id), job_->context());
  } catch (const std::exception& error) {
    base::log().error(
        "the imported point {} is committed, but the catalog does not have it yet: {}", id.hex(),
        error.what());
  }
  on_cancel_.reset();
  job_->succeed();
}

void ImportSession::on_failure(const Error& error) {
  if (!job_ || is_committed_) return;
  on_cancel_.reset();
  job_->fail(is_cancelled_ ? Error(ErrorCode::cancelled, "it was cancelled; no point was made")
                           : error);
}

}  // namespace appliance::ingest
