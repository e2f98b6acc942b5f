#include "appliance/ingest/instant_sink.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace appliance::ingest {
namespace {

images::MachineDefinition definition_of(const images::Point& known,
                                        const images::MachineDefinition& seen) {
  images::MachineDefinition definition = known.definition;
  auto& files = definition.state_files;
  for (const auto& file : seen.state_files) {
    auto same = std::find_if(files.begin(), files.end(),
                             [&](const auto& own) { return own.first == file.first; });
    if (same == files.end()) files.push_back(file);
    else same->second = file.second;
  }
  return definition;
}

class InstantSink : public images::StoreSink {
 public:
  InstantSink(std::unique_ptr<images::StoreSink> below, const TimelineHolder& holder,
              const std::optional<images::Point>& known)
      : below_(std::move(below)), holder_(holder), known_(known) {}

  const images::ChunkHasher& hasher() const override { return below_->hasher(); }
  std::vector<bool> lacking(std::span<const images::PlacedChunk> places) override {
    return below_->lacking(places);
  }
  void send(const images::Batch& batch,
            const std::function<images::EncodedChunk(size_t)>& encode) override {
    below_->send(batch, encode);
  }
  images::SinkProgress progress() const override { return below_->progress(); }

  images::PointId commit(const images::PointDetails& details) override {
    images::PointDetails own = details;
    if (known_) own.definition = definition_of(*known_, details.definition);
    std::string time;
    if (known_ && known_->id == holder_.point)
      time = " of " + base::format_time_ms(known_->time_ms);
    own.note =
        fmt::format("of the instant VM {}, which was booted from the point {}{}{}{}", holder_.boot,
                    holder_.point.hex(), time, details.note.empty() ? "" : "; ", details.note);
    return below_->commit(own);
  }

 private:
  const std::unique_ptr<images::StoreSink> below_;
  const TimelineHolder holder_;
  const std::optional<images::Point> known_;
};

}  // namespace

images::SyncPlan with_machine_names(const images::SyncPlan& plan, const TimelineHolder& holder) {
  images::SyncPlan named = plan;
  for (images::PlannedDisk& disk : named.disks) {
    auto known = holder.disk_names.find(disk.name);
    if (known != holder.disk_names.end()) disk.name = known->second;
  }
  return named;
}

std::unique_ptr<images::StoreSink> instant_sink(std::unique_ptr<images::StoreSink> below,
                                                const TimelineHolder& holder,
                                                const std::optional<images::Point>& known) {
  return std::make_unique<InstantSink>(std::move(below), holder, known);
}

}  // namespace appliance::ingest
