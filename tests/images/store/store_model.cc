#include "tests/images/store/store_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "images/codec.h"

namespace images {

base::Bytes chunk_of_seed(uint32_t seed, uint32_t chunk_size) {
  base::Bytes bytes(chunk_size);
  if (seed == 0) return bytes;
  std::mt19937 random(seed);
  for (size_t i = 0; i < chunk_size / 2; i += 4)
    base::store_u32(bytes.data() + i, static_cast<uint32_t>(random()));
  for (size_t i = chunk_size / 2; i < chunk_size; ++i) bytes[i] = static_cast<uint8_t>(seed);
  return bytes;
}

void change_at_random(ModelContent& content, size_t changes, std::mt19937& random) {
  for (size_t i = 0; i < changes; ++i) {
    size_t place = random() % content.size();
    switch (random() % 4) {
      case 0: content[place] = 0; break;
      case 1: content[place] = content[random() % content.size()]; break;
      default: content[place] = static_cast<uint32_t>(random() % 100000 + 1);
    }
  }
}

PointId sync_model_point(StoreWriter& writer, const ModelPoint& point,
                         const std::optional<PointId>& base, const ModelPoint* base_content) {
  const uint32_t chunk_size = writer.reader().hasher().chunk_size();
  SyncPlan plan{point.machine, {}};
  for (const auto& [name, content] : point.disks) {
    bool relative = base && base_content->disks.count(name) != 0;
    plan.disks.push_back(
        {name, content.size() * uint64_t{chunk_size}, relative ? base : std::nullopt});
  }
  auto sink = writer.begin(plan);
  uint64_t sequence = 0;
  uint32_t disk = 0;
  for (const auto& [name, content] : point.disks) {
    const ModelContent* old = plan.disks[disk].base ? &base_content->disks.at(name) : nullptr;
    Batch batch{0, disk, {}};
    std::vector<uint32_t> seeds;
    auto send = [&] {
      batch.sequence = sequence++;
      ChunkEncoder encoder(1);
      sink->send(batch,
                 [&](size_t i) { return encoder.encode(chunk_of_seed(seeds[i], chunk_size)); });
      batch.places.clear();
      seeds.clear();
    };
    for (size_t i = 0; i < content.size(); ++i) {
      if (old != nullptr ? (*old)[i] == content[i] : content[i] == 0) continue;
      ChunkId id =
          content[i] == 0 ? ChunkId{} : sink->hasher().id_of(chunk_of_seed(content[i], chunk_size));
      batch.places.push_back({i, 1, id});
      seeds.push_back(content[i]);
      if (batch.places.size() == 16) send();
    }
    send();
    ++disk;
  }
  PointDetails details;
  details.time_ms = point.time_ms;
  return sink->commit(details);
}

std::vector<std::string> differences(StoreReader& reader, const ModelStore& model) {
  std::vector<std::string> found;
  const uint32_t chunk_size = reader.hasher().chunk_size();
  size_t listed = reader.points().size();
  if (listed != model.size())
    found.push_back(fmt::format("{} points are listed, not {}", listed, model.size()));
  for (const auto& [id, point] : model) {
    for (const auto& [name, content] : point.disks) {
      try {
        auto disk = reader.open_disk(id, name);
        base::Bytes bytes(disk->size());
        disk->read(0, bytes);
        for (size_t i = 0; i < content.size(); ++i) {
          base::Bytes wanted = chunk_of_seed(content[i], chunk_size);
          if (std::equal(wanted.begin(), wanted.end(),
                         bytes.begin() + static_cast<ptrdiff_t>(i * chunk_size)))
            continue;
          found.push_back(fmt::format("point {} disk {} chunk {} differs", id.hex(), name, i));
        }
      } catch (const base::Error& error) {
        found.push_back(fmt::format("point {} disk {}: {}", id.hex(), name, error.message()));
      }
    }
  }
  return found;
}

}  // namespace images
