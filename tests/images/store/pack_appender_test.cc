#include "images/store/pack_appender.h"

#include <catch2/catch.hpp>
#include <thread>

#include "base/crypto.h"
#include "base/scratch_directory.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/place/open_place.h"
#include "images/store/store_context.h"
#include "images/store/store_recovery.h"
#include "images/store/store_writer.h"

namespace images {
namespace {

// A store whose packs hold sixteen chunks that do not shrink.
class SmallPacks {
 public:
  static constexpr uint64_t kPackSize = 16u * (kDefaultChunkSize + 200);

  SmallPacks() {
    init_store(base::real_file_system(), scratch_.path(), {});
    store_ = open_store_context(open_place(scratch_.path()), {}, KeyUse::optional);
    lease_ = store_->place->leases().writer();
    base::real_file_system().make_directory(layout::index_directory(scratch_.path()));
    recover_store(*store_, layout::index_directory(scratch_.path()));
    appender_ = std::make_unique<PackAppender>(*store_->place, *lease_, store_->parameters,
                                               store_->index(), kPackSize);
  }

  PackAppender& appender() { return *appender_; }

  Record record(uint32_t number) {
    base::Bytes content(kDefaultChunkSize);
    for (size_t i = 0; i < content.size(); i += 4)
      base::store_u32(content.data() + i, number * 2654435761u + static_cast<uint32_t>(i));
    ChunkId id = store_->hasher.id_of(content);
    auto own = std::make_unique<base::Bytes>(std::move(content));
    Record record = store_->codec.seal_chunk(id, {Codec::raw, *own});
    record.own = std::move(own);
    return record;
  }

  bool is_listed(const ChunkId& id) { return store_->index().read()->find_chunk(id).has_value(); }

  uint64_t listed_count() { return store_->index().read()->chunk_count(); }

  size_t records_in_packs() {
    size_t count = 0;
    store_->index().read()->for_each_pack([&](uint32_t, const PackEntry& row) {
      PackContents contents =
          scan_pack(store_->blobs, store_->parameters.id, row.id, ScanDepth::every_record);
      CHECK(contents.problems.empty());
      count += contents.records.size();
    });
    return count;
  }

 private:
  base::ScratchDirectory scratch_{"/tmp", "pack-appender"};
  std::unique_ptr<StoreContext> store_;
  std::unique_ptr<Lease> lease_;
  std::unique_ptr<PackAppender> appender_;
};

}  // namespace

TEST_CASE("a record is pending until the index knows it, and no longer", "[store]") {
  SmallPacks store;
  std::vector<ChunkId> ids;
  bool any_listed = false;
  for (uint32_t i = 0; i < 300; ++i) {
    Record record = store.record(i);
    ids.push_back(record.header.id);
    store.appender().append({&record, 1});
    for (const ChunkId& id : ids) {
      REQUIRE(store.appender().is_pending(id) != store.is_listed(id));
      any_listed |= store.is_listed(id);
    }
  }
  CHECK(any_listed);
  CHECK_FALSE(store.is_listed(ids.back()));
  store.appender().flush();
  for (const ChunkId& id : ids) {
    CHECK(store.is_listed(id));
    CHECK_FALSE(store.appender().is_pending(id));
  }
  store.appender().seal();
  CHECK(store.records_in_packs() == ids.size());
}

TEST_CASE("records appended by many threads at once are all in the packs and in the index",
          "[store]") {
  SmallPacks store;
  constexpr uint32_t kThreads = 8, kEach = 120;
  {
    std::vector<std::jthread> threads;
    for (uint32_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (uint32_t i = 0; i < kEach; i += 4) {
          // Every second group is another thread's, too.
          uint32_t owner = i / 4 % 2 == 0 ? t : t / 2 * 2;
          std::vector<Record> records;
          for (uint32_t k = 0; k < 4; ++k) records.push_back(store.record(owner * kEach + i + k));
          store.appender().append(records);
          if (i % 40 == 0) store.appender().flush();
        }
      });
    }
  }
  store.appender().seal();
  constexpr uint32_t kOwn = kThreads * kEach / 2, kShared = kThreads / 2 * kEach / 2;
  CHECK(store.listed_count() == kOwn + kShared);
  // One that was flushed in between may be there twice: who appends asks the index first.
  CHECK(store.records_in_packs() >= kOwn + kShared);
}

}  // namespace images
