#include "agent/sync.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace agent {
namespace {

images::SyncPlan plan_of(const std::string& machine_name, const Capture& capture) {
  images::SyncPlan plan{machine_name, {}};
  for (const CapturedDisk& disk : capture.disks()) {
    images::PlannedDisk planned{disk.name, disk.size, std::nullopt};
    // A full read needs no base: what it does not send is zero, whatever the last point had there.
    if (disk.decision.incremental) planned.base = disk.decision.since;
    plan.disks.push_back(planned);
  }
  return plan;
}

// A disk whose tracking is of no use after all: what it calls unchanged is read like the rest.
class UntrackedSource : public images::DiskSource {
 public:
  explicit UntrackedSource(images::DiskSource& source) : source_(source) {}
  uint64_t size() const override { return source_.size(); }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    auto extents = source_.extents(offset, length);
    for (images::Extent& extent : extents) {
      if (extent.kind == images::ExtentKind::unchanged) extent.kind = images::ExtentKind::data;
    }
    return extents;
  }
  void read(uint64_t offset, base::MutableByteView out) override { source_.read(offset, out); }

 private:
  images::DiskSource& source_;
};

// What is copied, from where, and to where.
struct Copy {
  images::SyncPlan plan;
  std::vector<std::unique_ptr<UntrackedSource>> untracked{};
  std::vector<images::DiskSource*> sources{};
  std::unique_ptr<images::PointSink> sink{};
  std::string note{};  // what the capture could not know
};

// Reads the disks that continue from a point in full, because the target has it no longer.
void give_up_bases(const Capture& capture, Copy& copy) {
  std::vector<std::pair<std::string, DiskDecision>> decisions;
  for (size_t i = 0; i < copy.plan.disks.size(); ++i) {
    if (!copy.plan.disks[i].base) continue;
    copy.plan.disks[i].base.reset();
    copy.untracked.push_back(std::make_unique<UntrackedSource>(*capture.disks()[i].source));
    copy.sources[i] = copy.untracked.back().get();
    decisions.push_back({copy.plan.disks[i].name,
                         {false, "the point its record of changes begins with was deleted"}});
  }
  copy.note = full_read_note(decisions);
}

Copy begin_copy(const std::string& machine_name, const Capture& capture, Target& target) {
  Copy copy{.plan = plan_of(machine_name, capture)};
  for (const CapturedDisk& disk : capture.disks()) copy.sources.push_back(disk.source.get());
  try {
    copy.sink = target.begin(copy.plan);
  } catch (const base::Error& error) {
    auto tracked = [](const images::PlannedDisk& disk) { return disk.base.has_value(); };
    bool any = std::any_of(copy.plan.disks.begin(), copy.plan.disks.end(), tracked);
    if (error.code() != base::ErrorCode::not_found || !any) throw;
    base::log().info("{}: {}", machine_name, error.message());
    give_up_bases(capture, copy);
    copy.sink = target.begin(copy.plan);
  }
  return copy;
}

}  // namespace

SyncResult run_sync(const std::string& machine_name, Capture& capture,
                    const std::optional<LastPoint>&, Target& target, const SyncOptions& options) {
  uint64_t begin_ms = base::steady_ms();
  Copy work = begin_copy(machine_name, capture, target);

  images::CopyOptions copy;
  copy.thread_count = options.thread_count;
  copy.compression_level = options.compression_level;
  copy.stop = options.stop;
  copy.throttle = options.throttle;
  copy.on_progress = [&](const images::CopyProgress& progress) {
    capture.check();
    if (options.on_progress) options.on_progress(progress);
  };
  images::CopyProgress copied = images::copy_disks(work.plan, work.sources, *work.sink, copy);
  capture.end_reading();
  if (options.stop.stop_requested())
    throw base::Error(base::ErrorCode::cancelled, "the sync was stopped");

  SyncResult result;
  result.details = capture.details();
  if (!work.note.empty())
    result.details.note += (result.details.note.empty() ? "" : "; ") + work.note;
  result.details.figures.bytes_read = copied.bytes_read;
  result.details.figures.duration_ms = base::steady_ms() - begin_ms;
  result.point = work.sink->commit(result.details);
  capture.committed(result.point);

  images::SinkProgress sent = work.sink->progress();
  result.details.figures.bytes_sent = sent.bytes_sent;
  result.details.figures.bytes_stored = sent.bytes_stored;
  result.details.figures.duration_ms = base::steady_ms() - begin_ms;
  base::log().info("point {} of {}: {} read, {} sent in {}{}", result.point.hex(), machine_name,
                   base::format_size(copied.bytes_read), base::format_size(sent.bytes_sent),
                   base::format_duration_ms(result.details.figures.duration_ms),
                   result.details.note.empty() ? "" : " (" + result.details.note + ")");
  return result;
}

}  // namespace agent
