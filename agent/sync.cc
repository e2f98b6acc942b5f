#include "agent/sync.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace agent {
namespace {

images::SyncPlan plan_of(const std::string& machine_name, const Capture& capture,
                         const std::optional<LastPoint>& last) {
  images::SyncPlan plan{machine_name, {}};
  for (const CapturedDisk& disk : capture.disks()) {
    images::PlannedDisk planned{disk.name, disk.size, std::nullopt};
    // A full read needs no base: what it does not send is zero, whatever the last point had there.
    if (disk.decision.incremental) planned.base = last->id;
    plan.disks.push_back(planned);
  }
  return plan;
}

}  // namespace

SyncResult run_sync(const std::string& machine_name, Capture& capture,
                    const std::optional<LastPoint>& last, Target& target,
                    const SyncOptions& options) {
  uint64_t begin_ms = base::now_ms();
  images::SyncPlan plan = plan_of(machine_name, capture, last);
  std::vector<images::DiskSource*> sources;
  for (const CapturedDisk& disk : capture.disks()) sources.push_back(disk.source.get());
  std::unique_ptr<images::PointSink> sink = target.begin(plan);

  images::CopyOptions copy;
  copy.thread_count = options.thread_count;
  copy.compression_level = options.compression_level;
  copy.stop = options.stop;
  copy.throttle = options.throttle;
  copy.on_progress = [&](const images::CopyProgress& progress) {
    capture.check();
    if (options.on_progress) options.on_progress(progress);
  };
  images::CopyProgress copied = images::copy_disks(plan, sources, *sink, copy);
  capture.end_reading();
  if (options.stop.stop_requested())
    throw base::Error(base::ErrorCode::cancelled, "the sync was stopped");

  SyncResult result;
  result.details = capture.details();
  result.details.figures.bytes_read = copied.bytes_read;
  result.details.figures.duration_ms = base::now_ms() - begin_ms;
  result.point = sink->commit(result.details);
  capture.committed(result.point);

  images::SinkProgress sent = sink->progress();
  result.details.figures.bytes_sent = sent.bytes_sent;
  result.details.figures.bytes_stored = sent.bytes_stored;
  result.details.figures.duration_ms = base::now_ms() - begin_ms;
  base::log().info("point {} of {}: {} read, {} sent in {}{}", result.point.hex(), machine_name,
                   base::format_size(copied.bytes_read), base::format_size(sent.bytes_sent),
                   base::format_duration_ms(result.details.figures.duration_ms),
                   result.details.note.empty() ? "" : " (" + result.details.note + ")");
  return result;
}

}  // namespace agent
