#include "appliance/ingest/ingest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/ingest/agent_session.h"
#include "appliance/ingest/import_session.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::ingest {
namespace {

images::PointSummary summarize(const images::Point& point) {
  images::PointSummary summary;
  summary.id = point.id;
  summary.machine = point.machine;
  summary.machine_name = point.machine_name;
  summary.time_ms = point.time_ms;
  summary.consistency = point.consistency;
  summary.dates = point.dates;
  summary.lineage = point.lineage;
  for (const images::PointDisk& disk : point.disks) summary.size += disk.size;
  return summary;
}

std::string sync_figures(const images::Point& point) {
  nlohmann::json figures{{"point", point.id.hex()},
                         {"time", base::format_time_ms(point.time_ms)},
                         {"host_time", base::format_time_ms(point.dates.host_time_ms)},
                         {"consistency", images::consistency_name(point.consistency)},
                         {"bytes_read", point.figures.bytes_read},
                         {"bytes_sent", point.figures.bytes_sent},
                         {"bytes_stored", point.figures.bytes_stored},
                         {"duration_ms", point.figures.duration_ms},
                         {"frozen_ms", point.figures.frozen_ms}};
  return base::dump_text(figures);
}

}  // namespace

template <typename AnySession>
void Ingest::run(base::ByteStream& stream, Session entry, AnySession& session) {
  sessions_.lock()->emplace(&stream, std::move(entry));
  struct Removal {
    Ingest& ingest;
    base::ByteStream& stream;
    ~Removal() { ingest.sessions_.lock()->erase(&stream); }
  } removal{*this, stream};
  try {
    images::serve_transfer(stream, session);
  } catch (const base::Error& error) {
    session.on_failure(error);
    throw;
  }
}

void Ingest::serve(base::ByteStream& stream, const catalog::Host& host) {
  catalog_.touch_host(host.id, "", base::now_ms());
  AgentSession session(*this, stream, host);
  base::log().debug("agent {} ({}) is connected", host.name, stream.peer());
  run(stream, {host.id, ""}, session);
}

void Ingest::serve_import(base::ByteStream& stream, const access::TenantName& tenant,
                          const access::Requester& requester) {
  ImportSession session(*this, stream, tenant, requester);
  base::log().info("{} ({}) imports into the tenant {}", requester.text(), stream.peer(),
                   tenant.text());
  run(stream, {catalog::HostId{}, "", tenant}, session);
}

void Ingest::record_commit(const access::TenantName& tenant, const images::Point& point,
                           jobs::JobContext& job) {
  catalog_.add_point(tenant, summarize(point));
  for (CommitListener* each : listeners_) each->committed(tenant, point.machine_name);
  job.set_figures(sync_figures(point));
  job.set_progress({point.figures.bytes_sent, point.figures.bytes_sent, "committed"});
  job.log(
      fmt::format("committed point {} of {}", point.id.hex(), base::format_time_ms(point.time_ms)));
  std::string note = images::clock_note(point.time_ms, point.dates);
  if (!note.empty()) job.log(note);
}

void Ingest::begin_machine(base::ByteStream& stream, const std::string& machine) {
  auto sessions = sessions_.lock();
  Session& own = sessions->at(&stream);
  for (auto& [other, session] : *sessions) {
    if (other != &stream && session.host == own.host && session.machine == machine) other->abort();
  }
  own.machine = machine;
}

void Ingest::cut_host(const catalog::HostId& id) {
  auto sessions = sessions_.lock();
  for (auto& [stream, session] : *sessions) {
    if (session.host == id) stream->abort();
  }
}

void Ingest::cut_imports(const access::TenantName& tenant) {
  auto sessions = sessions_.lock();
  for (auto& [stream, session] : *sessions) {
    if (session.imports_into == tenant) stream->abort();
  }
}

}  // namespace appliance::ingest
