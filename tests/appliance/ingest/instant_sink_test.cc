#include "appliance/ingest/instant_sink.h"

#include <catch2/catch.hpp>

namespace appliance::ingest {
namespace {

// Keeps what it is told to commit.
class Recorder : public images::StoreSink {
 public:
  explicit Recorder(images::PointDetails& committed) : committed_(committed) {}
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<bool> lacking(std::span<const images::PlacedChunk>) override { return {}; }
  void send(const images::Batch&, const std::function<images::EncodedChunk(size_t)>&) override {}
  images::SinkProgress progress() const override { return {}; }
  images::PointId commit(const images::PointDetails& details) override {
    committed_ = details;
    return {};
  }

 private:
  images::PointDetails& committed_;
  images::ChunkHasher hasher_{65536};
};

base::Bytes bytes(std::string_view text) {
  base::ByteView view = base::as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace

TEST_CASE("a point of an instant VM has the machine's definition, and says where it is from") {
  TimelineHolder holder{"00112233", {}, images::PointId::random(), {{"sda", "vda"}}};
  images::Point known;
  known.id = holder.point;
  known.time_ms = 1'000;
  known.definition.libvirt_xml = "<the machine's own/>";
  known.definition.state_files = {{"nvram", bytes("old")}, {"hardware", bytes("facts")}};
  images::PointDetails seen, committed;
  seen.definition.libvirt_xml = "<the appliance's translation/>";
  seen.definition.state_files = {{"nvram", bytes("new")}, {"tpm", bytes("keys")}};
  seen.note = "not frozen";
  auto commit = [&](const std::optional<images::Point>& point) {
    instant_sink(std::make_unique<Recorder>(committed), holder, point)->commit(seen);
  };

  commit(known);
  CHECK(committed.definition.libvirt_xml == known.definition.libvirt_xml);
  std::vector<std::pair<std::string, base::Bytes>> files{
      {"nvram", bytes("new")}, {"hardware", bytes("facts")}, {"tpm", bytes("keys")}};
  CHECK(committed.definition.state_files == files);
  CHECK(committed.note == "of the instant VM 00112233, which was booted from the point " +
                              holder.point.hex() + " of 1970-01-01T00:00:01Z; not frozen");

  // The booted point was deleted: the newest one has the same definition.
  known.id = images::PointId::random();
  commit(known);
  CHECK(committed.definition.libvirt_xml == known.definition.libvirt_xml);
  CHECK(committed.note == "of the instant VM 00112233, which was booted from the point " +
                              holder.point.hex() + "; not frozen");
  commit(std::nullopt);
  CHECK(committed.definition.libvirt_xml == seen.definition.libvirt_xml);

  images::SyncPlan plan{"web", {{"sda", 512, std::nullopt}, {"sdb", 512, std::nullopt}}};
  CHECK(with_machine_names(plan, holder).disks[0].name == "vda");
  CHECK(with_machine_names(plan, holder).disks[1].name == "sdb");
}

}  // namespace appliance::ingest
