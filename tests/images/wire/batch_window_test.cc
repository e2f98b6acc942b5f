#include "images/wire/batch_window.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "base/error.h"

namespace images {
namespace {

using base::Bytes;
using base::Error;

constexpr uint32_t kChunk = 4096;

ChunkId chunk_id(uint32_t number) {
  ChunkId id;
  base::store_u32(id.bytes.data(), number);
  return id;
}

Batch batch_of(uint64_t sequence, uint64_t first, const std::vector<uint32_t>& chunks,
               uint32_t disk = 0) {
  Batch batch{sequence, disk, {}};
  for (uint32_t number : chunks) batch.places.push_back({first++, 1, chunk_id(number)});
  return batch;
}

BatchWindow new_window(uint64_t byte_limit = 100 * kChunk) {
  return BatchWindow({1000 * kChunk, 10 * kChunk + 512}, kChunk, byte_limit);
}

// What advance() gives when the peer is told at once.
BatchWindow::Steps advance(BatchWindow& window) {
  BatchWindow::Steps steps = window.advance();
  for (const wire::Need& need : steps.needs) window.need_sent(need.sequence);
  std::vector<uint64_t> complete = window.advance().complete;
  steps.complete.insert(steps.complete.end(), complete.begin(), complete.end());
  return steps;
}

void send(BatchWindow& window, uint64_t sequence, uint32_t place) {
  Bytes content(kChunk, 1);
  window.receive({sequence, place, Codec::raw, content});
}

TEST_CASE("a batch from offer to stored", "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(0, 5, {7, 8, 0}));
  CHECK(advance(window).needs.empty());
  window.set_lacking(0, {true, false, false});
  BatchWindow::Steps steps = advance(window);
  REQUIRE(steps.needs.size() == 1);
  CHECK(steps.needs[0].wanted == std::vector<bool>{true, false, false});
  CHECK(steps.complete.empty());
  CHECK(window.granted_size() == kChunk);
  send(window, 0, 0);
  CHECK(advance(window).complete == std::vector<uint64_t>{0});
  ReceivedBatch received = window.take(0);
  CHECK(received.chunks[0].bytes.size() == kChunk);
  CHECK(received.chunks[1].bytes.empty());
  CHECK_FALSE(window.is_idle());
  window.finish(0);
  CHECK(window.is_idle());
  CHECK(window.granted_size() == 0);
}

TEST_CASE("offers that cannot be are refused", "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(1, 10, {1, 2}));
  Batch overlap = batch_of(2, 12, {1, 2});
  overlap.places[1].index = 12;
  Batch repeated = batch_of(2, 12, {1});
  repeated.places[0].count = 2;
  Batch none = batch_of(2, 12, {1});
  none.places[0].count = 0;
  Batch huge = batch_of(2, 12, {0});
  huge.places[0].count = ~0ull;
  Batch many = batch_of(2, 12, std::vector<uint32_t>(257, 0));
  for (const Batch& bad : {batch_of(1, 12, {3}),      // the sequence again
                           batch_of(16, 12, {3}),     // out of the window
                           batch_of(2, 999, {1, 2}),  // beyond the disk
                           batch_of(2, 11, {1}),      // not after batch 1
                           batch_of(0, 10, {1}),      // not before batch 1
                           batch_of(2, 0, {1}, 2),    // no such disk
                           batch_of(2, 11, {1}, 1),   // beyond the other disk
                           overlap, repeated, none, huge, many}) {
    CHECK_THROWS_AS(window.offer(bad), Error);
  }
  window.offer(batch_of(15, 12, {3}));
  window.offer(batch_of(0, 0, {3}));
  window.offer(batch_of(2, 10, {3}, 1));  // its last chunk is half a sector long
  window.offer(Batch{3, 0, {}});
  window.offer(batch_of(4, 12 - 1 + 0, {}, 0));
}

TEST_CASE("order holds across batches that are stored already", "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(0, 10, {0}));
  window.set_lacking(0, {false});
  REQUIRE(advance(window).complete.size() == 1);
  window.take(0);
  window.finish(0);
  CHECK_THROWS_AS(window.offer(batch_of(1, 10, {1})), Error);
  CHECK_THROWS_AS(window.offer(batch_of(0, 11, {1})), Error);
  window.offer(batch_of(1, 11, {1}));
}

TEST_CASE("data that was not asked for is refused", "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(0, 0, {1, 2}));
  CHECK_THROWS_AS(send(window, 0, 0), Error);  // not granted yet
  window.set_lacking(0, {true, false});
  advance(window);
  CHECK_THROWS_AS(send(window, 0, 1), Error);
  CHECK_THROWS_AS(send(window, 0, 2), Error);
  CHECK_THROWS_AS(send(window, 1, 0), Error);
  Bytes wrong(kChunk + 1, 1);
  CHECK_THROWS_AS(window.receive({0, 0, Codec::raw, wrong}), Error);
  CHECK_THROWS_AS(window.receive({0, 0, Codec::raw, base::ByteView(wrong).first(10)}), Error);
  CHECK_THROWS_AS(window.receive({0, 0, Codec::zstd, base::ByteView(wrong).first(kChunk)}), Error);
  send(window, 0, 0);
  CHECK_THROWS_AS(send(window, 0, 0), Error);  // twice
}

TEST_CASE(
    "a chunk is asked for once, within a batch, across batches, and in spite of an old lookup",
    "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(0, 0, {1, 1, 2}));
  window.offer(batch_of(1, 3, {2, 3}));
  window.offer(batch_of(2, 5, {3, 1}));
  window.set_lacking(0, {true, true, true});
  window.set_lacking(1, {true, true});
  BatchWindow::Steps steps = advance(window);
  CHECK(steps.needs[0].wanted == std::vector<bool>{true, false, true});
  CHECK(steps.needs[1].wanted == std::vector<bool>{false, true});
  send(window, 1, 1);
  CHECK(advance(window).complete.empty());  // waits for batch 0's chunk 2
  send(window, 0, 0);
  send(window, 0, 2);
  CHECK(advance(window).complete == std::vector<uint64_t>{0});
  window.take(0);
  window.finish(0);
  CHECK(advance(window).complete == std::vector<uint64_t>{1});
  window.take(1);
  window.finish(1);
  // Batch 2 was looked up before 0 and 1 were stored, and hears of it only now.
  window.set_lacking(2, {true, true});
  steps = advance(window);
  CHECK(steps.needs[0].wanted == std::vector<bool>{false, false});
  CHECK(steps.complete == std::vector<uint64_t>{2});
}

TEST_CASE("a batch that needs nothing is not complete before the peer was told", "[transfer]") {
  BatchWindow window = new_window();
  window.offer(batch_of(0, 0, {1}));
  window.set_lacking(0, {false});
  BatchWindow::Steps steps = window.advance();
  CHECK(steps.needs.size() == 1);
  CHECK(steps.complete.empty());
  CHECK(window.advance().complete.empty());
  window.need_sent(0);
  CHECK(window.advance().complete == std::vector<uint64_t>{0});
}

TEST_CASE("grants stay below the limit, and one batch always gets through", "[transfer]") {
  BatchWindow window = new_window(3 * kChunk);
  window.offer(batch_of(0, 0, {1, 2, 3, 4, 5}));
  window.offer(batch_of(1, 5, {6}));
  window.set_lacking(0, std::vector<bool>(5, true));
  window.set_lacking(1, {true});
  BatchWindow::Steps steps = advance(window);
  REQUIRE(steps.needs.size() == 1);
  CHECK(steps.needs[0].sequence == 0);
  for (uint32_t i = 0; i < 5; ++i) send(window, 0, i);
  CHECK(advance(window).complete.size() == 1);
  window.take(0);
  CHECK(advance(window).needs.empty());  // memory is free when the batch is stored, not before
  window.finish(0);
  CHECK(advance(window).needs.size() == 1);
}

// Random batches in random order, with lookups that are late: every batch gets stored, no chunk is
// asked for twice, no grant is above the limit.
TEST_CASE("random transfers", "[transfer]") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    BatchWindow window({100000ull * kChunk}, kChunk, 12 * kChunk);
    std::set<uint32_t> stored, asked;
    struct Open {
      Batch batch;
      std::vector<bool> looked_up, wanted;
      size_t next = 0;
    };
    std::map<uint64_t, Open> open;
    std::vector<uint64_t> lookups, complete;
    uint64_t next_offer = 0, place = 0, floor = 0;
    std::set<uint64_t> finished;
    constexpr uint64_t kBatches = 200;
    auto number_of = [](const ChunkId& id) { return base::load_u32(id.bytes.data()); };
    auto take_steps = [&] {
      BatchWindow::Steps steps = advance(window);
      for (const wire::Need& need : steps.needs) {
        Open& batch = open.at(need.sequence);
        batch.wanted = need.wanted;
        for (size_t i = 0; i < need.wanted.size(); ++i) {
          if (need.wanted[i]) REQUIRE(asked.insert(number_of(batch.batch.places[i].id)).second);
        }
      }
      complete.insert(complete.end(), steps.complete.begin(), steps.complete.end());
      REQUIRE(window.granted_size() <= 12 * kChunk);
    };
    for (int step = 0; finished.size() < kBatches; ++step) {
      REQUIRE(step < 100000);
      switch (random() % 4) {
        case 0: {
          if (next_offer >= kBatches || next_offer >= floor + kMaxBatchesInFlight) break;
          std::vector<uint32_t> chunks(random() % 8);
          for (uint32_t& chunk : chunks) chunk = random() % 60 * (random() % 5 != 0);
          open[next_offer].batch = batch_of(next_offer, place, chunks);
          window.offer(open[next_offer].batch);
          place += chunks.size();
          // Looked up at once, told later: as by a slow worker.
          for (uint32_t chunk : chunks)
            open[next_offer].looked_up.push_back(chunk != 0 && !stored.contains(chunk));
          lookups.push_back(next_offer++);
          break;
        }
        case 1: {
          if (lookups.empty()) break;
          size_t which = random() % lookups.size();
          window.set_lacking(lookups[which], open.at(lookups[which]).looked_up);
          lookups.erase(lookups.begin() + static_cast<ptrdiff_t>(which));
          break;
        }
        case 2:
          for (auto& [sequence, batch] : open) {
            while (batch.next < batch.wanted.size() && !batch.wanted[batch.next]) ++batch.next;
            if (batch.next >= batch.wanted.size()) continue;
            send(window, sequence, static_cast<uint32_t>(batch.next++));
            break;
          }
          break;
        default: {
          if (complete.empty()) break;
          uint64_t sequence = complete.front();
          complete.erase(complete.begin());
          ReceivedBatch received = window.take(sequence);
          for (size_t i = 0; i < received.chunks.size(); ++i) {
            uint32_t number = number_of(received.batch.places[i].id);
            if (!received.chunks[i].bytes.empty()) stored.insert(number);
          }
          for (const PlacedChunk& chunk : received.batch.places) {
            if (!chunk.id.is_zero())
              REQUIRE(stored.contains(number_of(chunk.id)));  // nothing is missing
          }
          window.finish(sequence);
          finished.insert(sequence);
          while (finished.contains(floor)) ++floor;
          open.erase(sequence);
        }
      }
      take_steps();
    }
    CHECK(window.is_idle());
    CHECK(asked == stored);
  }
}

}  // namespace
}  // namespace images
