#include "appliance/ingest/agent_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/ingest/instant_sink.h"
#include "appliance/ingest/newest_point.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::ingest {

using base::Error;
using base::ErrorCode;

AgentSession::AgentSession(Ingest& ingest, base::ByteStream& stream, catalog::Host host)
    : ingest_(ingest), stream_(stream), host_(std::move(host)) {}

images::StoreWriter& AgentSession::writer() {
  if (!writer_) writer_ = ingest_.stores_.writer(host_.tenant);
  return *writer_;
}

void AgentSession::authorize(const std::string& machine_name) {
  auto host = ingest_.catalog_.find_host(host_.id);
  if (!host || host->revoked)
    throw Error(ErrorCode::unauthorized, "this host was revoked; enrol it again");
  if (holder_for_us(machine_name)) return;
  auto machine = ingest_.catalog_.find_machine(host_.tenant, machine_name);
  if (machine) catalog::require_writable(*machine, host_.id);
}

std::optional<TimelineHolder> AgentSession::holder_for_us(const std::string& machine_name) {
  std::optional<TimelineHolder> holder;
  if (ingest_.timelines_ != nullptr)
    holder = ingest_.timelines_->holder(host_.tenant, machine_name);
  if (holder && holder->host != host_.id) {
    throw Error(
        ErrorCode::busy,
        fmt::format("'{}' runs as the instant VM {} on the appliance, whose syncs continue its "
                    "timeline; points of this host would mix two histories. Stop the instant VM, "
                    "or allow it: muletto boot set {} --timeline production",
                    machine_name, holder->boot, holder->boot));
  }
  if (!holder && host_.name == catalog::kInternalHostName) {
    throw Error(ErrorCode::unauthorized,
                fmt::format("no instant VM holds the timeline of '{}'", machine_name));
  }
  return holder;
}

std::optional<images::wire::LastPoint> AgentSession::last_point(const std::string& machine_name) {
  auto last = newest_point(writer().reader(), machine_name);
  if (!last) return std::nullopt;
  if (auto holder = holder_for_us(machine_name)) {
    for (const auto& [of_vm, of_machine] : holder->disk_names) {
      for (auto& disk : last->disks) {
        if (disk.name == of_machine) disk.name = of_vm;
      }
    }
  }
  return last;
}

std::vector<images::PointSummary> AgentSession::points(const std::string& machine_name) {
  return writer().reader().points_of(machine_name);
}

// A copy claims the id, the dates and thereby the verdicts of another point. No host may do that: it
// may have been compromised.
void AgentSession::authorize_copy(const images::PointOrigin&) {
  throw Error(
      ErrorCode::unauthorized,
      fmt::format("the host '{}' may make points, but not add copies of others", host_.name));
}

std::optional<images::Point> AgentSession::point_with_definition(const std::string& machine_name,
                                                                 const TimelineHolder& holder) {
  std::vector<images::PointSummary> points = writer().reader().points_of(machine_name);
  if (points.empty()) return std::nullopt;
  auto booted = std::find_if(points.begin(), points.end(), [&](const images::PointSummary& point) {
    return point.id == holder.point;
  });
  return writer().reader().read_point(booted != points.end() ? booted->id : points.back().id);
}

std::unique_ptr<images::StoreSink> AgentSession::begin(const images::SyncPlan& plan) {
  writer_ = ingest_.stores_.require_writable(host_.tenant);
  if (ingest_.space_ != nullptr) ingest_.space_->claim(host_, 0);
  images::MachineId id = writer().reader().hasher().machine_id(plan.machine_name);
  std::optional<TimelineHolder> holder = holder_for_us(plan.machine_name);
  // The machine still belongs to its host.
  if (!holder) ingest_.catalog_.claim_machine(host_.tenant, id, plan.machine_name, host_.id);
  ingest_.begin_machine(stream_, plan.machine_name);
  std::unique_ptr<images::StoreSink> sink;
  if (holder) {
    sink = instant_sink(writer().begin(with_machine_names(plan, *holder)), *holder,
                        point_with_definition(plan.machine_name, *holder));
  } else {
    sink = writer().begin(plan);
  }
  if (ingest_.space_ != nullptr) sink = guarded_sink(std::move(sink), *ingest_.space_, host_);
  if (ingest_.orders_ != nullptr)
    job_ = ingest_.orders_->adopt(host_.tenant, plan.machine_name, host_.id);
  ordered_ = job_ != nullptr;
  if (!job_) {
    job_ = ingest_.jobs_.attach(
        {"sync", host_.tenant, plan.machine_name, access::Requester::host(host_.name)});
  }
  on_cancel_.emplace(job_->context().stop(), [this] { stream_.abort(); });
  job_->context().log(
      fmt::format("the agent on {} streams {} disks", host_.name, plan.disks.size()));
  return sink;
}

void AgentSession::on_progress(const images::SinkProgress& progress) {
  if (job_ && !committed_ && !ordered_)
    job_->context().set_progress({progress.bytes_sent, 0, "receiving"});
}

// The point exists, whatever happens here: the catalog's row is derived and would be restored at
// the next start.
void AgentSession::on_commit(const images::PointId& id, const images::PointDetails&) {
  committed_ = true;
  try {
    images::Point point = writer().reader().read_point(id);
    ingest_.catalog_.touch_host(host_.id, "", base::now_ms());
    ingest_.record_commit(host_.tenant, point, job_->context());
  } catch (const std::exception& error) {
    base::log().error("point {} of host {} is committed, but the catalog does not have it yet: {}",
                      id.hex(), host_.name, error.what());
  }
  on_cancel_.reset();
  job_->succeed();
}

std::unique_ptr<images::OpenedPoint> AgentSession::open_point(const images::wire::Ticket& ticket) {
  auto host = ingest_.catalog_.find_host(host_.id);
  if (!host || host->revoked)
    throw Error(ErrorCode::unauthorized, "this host was revoked; enrol it again");
  if (ingest_.tickets_ == nullptr) return TransferHost::open_point(ticket);
  return ingest_.tickets_->open(*host, ticket, stream_);
}

void AgentSession::on_failure(const Error& error) {
  if (!job_ || committed_) return;
  on_cancel_.reset();
  job_->fail(error);
}

}  // namespace appliance::ingest
