// A dumb model of a store, for random tests: every point is a list of chunk seeds per disk. The
// same steps are done on a real store and here, and then compared byte by byte. One thread.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "images/store/store_reader.h"
#include "images/store/store_writer.h"

namespace images {

// The content of a chunk: 0 is zeros; else bytes that follow from the seed, half of them
// compressible.
base::Bytes chunk_of_seed(uint32_t seed, uint32_t chunk_size);

using ModelContent = std::vector<uint32_t>;  // a seed for each chunk

struct ModelPoint {
  std::string machine;
  uint64_t time_ms = 0;
  std::map<std::string, ModelContent> disks;
};

// Everything that was committed and not deleted.
using ModelStore = std::map<PointId, ModelPoint>;

// Changes `changes` chunks of `content` at random: to new data, to zeros, or to data of elsewhere.
void change_at_random(ModelContent& content, size_t changes, std::mt19937& random);

// Syncs `point` into the store: in full without a base, else what differs from the base's content.
PointId sync_model_point(StoreWriter& writer, const ModelPoint& point,
                         const std::optional<PointId>& base, const ModelPoint* base_content);

// What differs between store and model, in words; empty when each point reads as it must.
std::vector<std::string> differences(StoreReader& reader, const ModelStore& model);

}  // namespace images
