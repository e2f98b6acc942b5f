// What tests of the transfer protocol begin with: a receiver that keeps one disk in memory.
#pragma once

#include <memory>
#include <optional>

#include "tests/images/sync/model_sink.h"
#include "tests/images/wire/transfer_pair.h"

namespace images {

constexpr uint32_t kChunk = 4096;

struct ModelSetup {
  ModelSink sink;
  TestHost host;

  explicit ModelSetup(size_t size)
      : sink({{{"vda", size, std::nullopt}, base::Bytes(size)}}, kChunk) {
    host.make_sink = [this](const SyncPlan&) { return std::make_unique<BorrowedSink>(sink); };
  }
};

inline SyncPlan plan_of(uint64_t size) { return {"db", {{"vda", size, std::nullopt}}}; }

}  // namespace images
