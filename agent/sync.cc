#include "agent/sync.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "base/error.h"
#include "base/guarded_thread.h"
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

// A disk whose change tracking turned out to be useless: what it calls unchanged is read like the
// rest.
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

// Detects that it was the target, and not a source, that became unavailable.
class WatchedSink : public images::PointSink {
 public:
  explicit WatchedSink(std::unique_ptr<images::PointSink> sink) : sink_(std::move(sink)) {}
  const images::ChunkHasher& hasher() const override { return sink_->hasher(); }
  void send(const images::Batch& batch,
            const std::function<images::EncodedChunk(size_t)>& encode) override {
    try {
      sink_->send(batch, encode);
    } catch (const base::Error& error) {
      if (error.code() == base::ErrorCode::unavailable) is_lost_ = true;
      throw;
    }
  }
  images::SinkProgress progress() const override { return sink_->progress(); }
  images::PointId commit(const images::PointDetails& details) override {
    return sink_->commit(details);
  }
  bool is_lost() const { return is_lost_; }

 private:
  std::unique_ptr<images::PointSink> sink_;
  std::atomic<bool> is_lost_{false};
};

// What is copied, from where, and to where.
struct Copy {
  images::SyncPlan plan;
  std::vector<std::unique_ptr<UntrackedSource>> untracked{};
  std::vector<images::DiskSource*> sources{};
  std::unique_ptr<WatchedSink> sink{};
  std::string note{};  // what the capture could not know
};

// Reads the disks that continue from a point in full, because the target no longer has that point.
void give_up_bases(const Capture& capture, Copy& copy) {
  std::vector<std::pair<std::string, DiskDecision>> decisions;
  for (size_t i = 0; i < copy.plan.disks.size(); ++i) {
    if (!copy.plan.disks[i].base) continue;
    copy.plan.disks[i].base.reset();
    copy.untracked.push_back(std::make_unique<UntrackedSource>(*capture.disks()[i].source));
    copy.sources[i] = copy.untracked.back().get();
    decisions.push_back({copy.plan.disks[i].name,
                         {false, "the point that its record of changes starts from was deleted"}});
  }
  copy.note = full_read_note(decisions);
}

Copy begin_copy(const std::string& machine_name, const Capture& capture, Target& target) {
  Copy copy{.plan = plan_of(machine_name, capture)};
  for (const CapturedDisk& disk : capture.disks()) copy.sources.push_back(disk.source.get());
  auto begin = [&] { copy.sink = std::make_unique<WatchedSink>(target.begin(copy.plan)); };
  try {
    begin();
  } catch (const base::Error& error) {
    auto tracked = [](const images::PlannedDisk& disk) { return disk.base.has_value(); };
    bool any = std::any_of(copy.plan.disks.begin(), copy.plan.disks.end(), tracked);
    if (error.code() != base::ErrorCode::not_found || !any) throw;
    base::log().info("{}: {}", machine_name, error.message());
    give_up_bases(capture, copy);
    begin();
  }
  return copy;
}

// Copies to a target that may become unavailable meanwhile. Used once.
class PatientCopier {
 public:
  PatientCopier(const std::string& machine_name, Capture& capture, Target& target,
                const SyncOptions& options)
      : machine_name_(machine_name), capture_(capture), target_(target), options_(options) {
    copy_options_.thread_count = options.thread_count;
    copy_options_.compression_level = options.compression_level;
    copy_options_.stop = options.stop;
    copy_options_.throttle = options.throttle;
    copy_options_.on_progress = [this](const images::CopyProgress& progress) {
      capture_.check();
      if (options_.on_progress) options_.on_progress(progress);
    };
  }

  // Returns when the copy is complete and its sink is ready to commit.
  Copy run(images::CopyProgress& copied) {
    Copy work = begin_copy(machine_name_, capture_, target_);
    for (uint32_t losses = 1;; ++losses) {
      try {
        copied = images::copy_disks(work.plan, work.sources, *work.sink, copy_options_);
        return work;
      } catch (const base::Error& error) {
        if (!work.sink->is_lost()) capture_.check();  // it may know better why reading failed
        if (!work.sink->is_lost() || losses > kMostLosses || options_.stop.stop_requested()) throw;
        work.sink.reset();
        work = begin_again(error);
      }
    }
  }

 private:
  // A target that becomes unavailable this often does so because of what it is sent.
  static constexpr uint32_t kMostLosses = 20;

  Copy begin_again(const base::Error& loss) {
    base::log().warn("the sync of {} continues when {} is back, and waits {} for it: {}",
                     machine_name_, target_.description(),
                     base::format_duration_ms(static_cast<uint64_t>(options_.patience.count())),
                     loss.message());
    auto deadline = std::chrono::steady_clock::now() + options_.patience;
    for (std::chrono::milliseconds pause{100};;
         pause = std::min(pause * 2, options_.longest_pause)) {
      wait(pause);
      try {
        Copy work = begin_copy(machine_name_, capture_, target_);
        base::log().info("the sync of {} continues", machine_name_);
        return work;
      } catch (const base::Error& error) {
        // Busy: the target has not yet noticed that the previous connection is gone.
        bool passing =
            error.code() == base::ErrorCode::unavailable || error.code() == base::ErrorCode::busy;
        if (!passing || std::chrono::steady_clock::now() > deadline) throw;
      }
    }
  }

  // The capture must hold while the target is unavailable; a stop request ends the wait.
  void wait(std::chrono::milliseconds pause) {
    base::sleep_unless_stopped(options_.stop, pause);
    if (options_.stop.stop_requested())
      throw base::Error(base::ErrorCode::cancelled, "the sync was stopped");
    capture_.check();
  }

  const std::string& machine_name_;
  Capture& capture_;
  Target& target_;
  const SyncOptions& options_;
  images::CopyOptions copy_options_;
};

}  // namespace

SyncResult run_sync(const std::string& machine_name, Capture& capture,
                    const std::optional<BasePoint>&, Target& target, const SyncOptions& options) {
  uint64_t begin_ms = base::steady_ms();
  images::CopyProgress copied;
  Copy work = PatientCopier(machine_name, capture, target, options).run(copied);
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
