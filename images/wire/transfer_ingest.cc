#include "images/wire/transfer_ingest.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/internal_errors.h"
#include "base/log.h"
#include "images/codec.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

std::vector<uint64_t> sizes_of(const SyncPlan& plan) {
  std::vector<uint64_t> sizes;
  for (const PlannedDisk& disk : plan.disks) sizes.push_back(disk.size);
  return sizes;
}

}  // namespace

TransferIngest::TransferIngest(FrameChannel& channel, uint16_t version, TransferHost& host,
                               const SyncPlan& plan, std::unique_ptr<StoreSink> sink,
                               uint64_t window_size)
    : channel_(channel), version_(version), host_(host), plan_(plan), sink_(std::move(sink)),
      state_(State(BatchWindow(sizes_of(plan), sink_->hasher().chunk_size(), window_size))) {
  for (size_t i = 0; i < kTransferWorkers; ++i) workers_.emplace_back([this] { work(); });
}

void TransferIngest::stop_workers() {
  state_.lock()->stopping = true;
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void TransferIngest::run() {
  try {
    while (std::optional<Frame> frame = channel_.next()) {
      throw_failure();
      on_frame(*frame);
    }
    throw_failure();
    if (state_.lock()->committed) return;
    throw Error(ErrorCode::unavailable,
                channel_.stream().peer() + " disconnected before the point was committed");
  } catch (const Error& error) {
    Error cause = state_.lock()->failure.value_or(error);  // a worker's came first
    bool gone = cause.code() == ErrorCode::unavailable || cause.code() == ErrorCode::cancelled;
    if (gone && state_.lock()->committed) return;  // after it had all it wanted
    if (gone) salvage();
    throw cause;
  }
}

bool TransferIngest::is_committing() {
  auto state = state_.lock();
  return state->to_commit && !state->committed;
}

void TransferIngest::throw_failure() {
  auto state = state_.lock();
  if (state->failure) throw *state->failure;
}

void TransferIngest::on_frame(const Frame& frame) {
  switch (frame.type) {
    case wire::FrameType::offer: {
      Batch batch = wire::decode_offer(frame.payload);
      auto state = state_.lock();
      if (state->to_commit)
        throw Error(ErrorCode::invalid_argument, "a batch was offered after COMMIT");
      state->window.offer(batch);
      state->to_look_up.push_back(std::move(batch));
      break;
    }
    case wire::FrameType::data: {
      wire::Data data = wire::decode_data(frame.payload);
      BatchWindow::Steps steps;
      {
        auto state = state_.lock();
        state->window.receive(data);
        steps = advance(*state);
      }
      follow(std::move(steps));
      return;
    }
    case wire::FrameType::commit: {
      PointDetails details = wire::decode_commit(frame.payload, version_);
      auto state = state_.lock();
      if (state->to_commit) throw Error(ErrorCode::invalid_argument, "COMMIT came twice");
      if (!state->window.is_idle())
        throw Error(ErrorCode::invalid_argument, "COMMIT came before all batches were done");
      state->to_commit = std::move(details);
      break;
    }
    case wire::FrameType::error:
      throw wire::decode_error(frame.payload).with_context(channel_.stream().peer() + " gave up");
    default:
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("a frame of type {} has no place in a sync", static_cast<int>(frame.type)));
  }
  changed_.notify_all();
}

BatchWindow::Steps TransferIngest::advance(State& state) {
  BatchWindow::Steps steps = state.window.advance();
  state.to_store.insert(state.to_store.end(), steps.complete.begin(), steps.complete.end());
  return steps;
}

// Does what advance() leaves to be done without the lock.
void TransferIngest::follow(BatchWindow::Steps steps) {
  for (;;) {
    if (!steps.complete.empty()) changed_.notify_all();
    if (steps.needs.empty()) return;
    for (const wire::Need& need : steps.needs) channel_.write(wire::encode(need));
    auto state = state_.lock();
    for (const wire::Need& need : steps.needs) state->window.need_sent(need.sequence);
    steps = advance(*state);
  }
}

void TransferIngest::work() {
  try {
    while (std::optional<Task> task = next_task()) {
      if (task->store) store(std::move(*task->store));
      if (task->look_up) look_up(*task->look_up);
      if (task->commit) commit(*task->commit);
    }
  } catch (const Error& error) {
    fail(error);
  } catch (...) {
    fail_with(std::current_exception());
  }
}

// Storing comes first: it frees memory.
std::optional<TransferIngest::Task> TransferIngest::next_task() {
  auto state = state_.lock();
  auto may_commit = [&] { return state->to_commit && !state->commit_taken; };
  state.wait(changed_, [&] {
    return state->stopping || !state->to_store.empty() || !state->to_look_up.empty() ||
           may_commit();
  });
  if (state->stopping) return std::nullopt;
  Task task;
  if (!state->to_store.empty()) {
    task.store = state->window.take(state->to_store.front());
    state->to_store.pop_front();
  } else if (!state->to_look_up.empty()) {
    task.look_up = std::move(state->to_look_up.front());
    state->to_look_up.pop_front();
  } else {
    state->commit_taken = true;
    task.commit = *state->to_commit;
  }
  return task;
}

void TransferIngest::look_up(const Batch& batch) {
  std::vector<bool> lacking = sink_->lacking(batch.places);
  BatchWindow::Steps steps;
  {
    auto state = state_.lock();
    state->window.set_lacking(batch.sequence, lacking);
    steps = advance(*state);
  }
  follow(std::move(steps));
}

// A peer may send anything: a chunk is put into the store only if its content has its id.
void TransferIngest::verify(const ReceivedBatch& received) {
  const ChunkHasher& hasher = sink_->hasher();
  base::Bytes decompressed(hasher.chunk_size());
  for (size_t i = 0; i < received.chunks.size(); ++i) {
    const ReceivedChunk& chunk = received.chunks[i];
    if (chunk.bytes.empty()) continue;
    // The window accepts raw chunks only if they have the right size.
    base::ByteView plain = chunk.bytes;
    if (chunk.codec != Codec::raw) {
      decode_chunk(chunk.codec, chunk.bytes, decompressed);
      plain = decompressed;
    }
    if (base::is_all_zero(plain) || hasher.id_of(plain) != received.batch.places[i].id) {
      throw Error(ErrorCode::corrupt, fmt::format("chunk {} of batch {} does not match its id", i,
                                                  received.batch.sequence));
    }
  }
}

// The connection broke. What arrived is put into the store anyway, so that the next attempt need
// not send it again, however short-lived connections are; the point itself is lost with the sink.
void TransferIngest::salvage() noexcept {
  channel_.stream().abort();  // a worker may be writing to the peer that is gone
  try {
    stop_workers();
    for (ReceivedBatch& part : state_.lock()->window.salvage()) hand_over(std::move(part));
  } catch (const std::exception& error) {
    base::log().warn("what arrived over a broken connection could not be kept: {}", error.what());
  }
}

void TransferIngest::hand_over(ReceivedBatch received) {
  verify(received);
  std::unordered_map<ChunkId, const ReceivedChunk*> arrived;
  for (size_t i = 0; i < received.chunks.size(); ++i) {
    if (!received.chunks[i].bytes.empty())
      arrived[received.batch.places[i].id] = &received.chunks[i];
  }
  sink_->send(received.batch, [&](size_t i) {
    auto found = arrived.find(received.batch.places[i].id);
    if (found == arrived.end()) {
      throw Error(ErrorCode::busy, "a chunk vanished from the store during the sync; sync again");
    }
    return EncodedChunk{found->second->codec, found->second->bytes};
  });
}

void TransferIngest::store(ReceivedBatch received) {
  uint64_t sequence = received.batch.sequence;
  hand_over(std::move(received));
  host_.on_progress(sink_->progress());
  BatchWindow::Steps steps;
  {
    auto state = state_.lock();
    state->window.finish(sequence);
    steps = advance(*state);
  }
  channel_.write(wire::encode_done(sequence));
  follow(std::move(steps));
}

void TransferIngest::commit(const PointDetails& details) {
  host_.authorize(plan_.machine_name);
  PointDetails allowed = details;
  if (details.lineage.origin) host_.authorize_copy(*details.lineage.origin);
  else allowed.lineage = {};  // the sink takes the parent of a new point from the plan
  wire::Committed committed;
  committed.id = sink_->commit(allowed);
  committed.bytes_stored = sink_->progress().bytes_stored;
  host_.on_commit(committed.id, allowed);
  state_.lock()->committed = true;
  channel_.write(wire::encode(committed));
}

void TransferIngest::fail(const Error& error) noexcept {
  bool kept = base::run_guarded("a sync's failure", [&] {
    auto state = state_.lock();
    state->stopping = true;
    if (!state->failure) state->failure = error;
  });
  changed_.notify_all();
  channel_.end_with(error);
  if (!kept) channel_.stream().abort();  // no memory for the reason: the reader learns it this way
}

void TransferIngest::fail_with(const std::exception_ptr& unexpected) noexcept {
  std::string words = base::describe_exception(unexpected);
  base::report_internal_error("a sync's worker", words);
  bool told = base::run_guarded(
      "a sync's failure", [&] { fail(Error(ErrorCode::io, "unexpected failure: " + words)); });
  if (!told) channel_.stream().abort();
}

}  // namespace images
