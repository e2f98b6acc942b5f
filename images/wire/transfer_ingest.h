// One sync on the receiving end, from READY to COMMITTED. Private to the transfer server.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "images/wire/batch_window.h"
#include "images/wire/frame_channel.h"
#include "images/wire/transfer_server.h"

namespace images {

class TransferIngest {
 public:
  // `version`: the one that is spoken.
  TransferIngest(FrameChannel& channel, uint16_t version, TransferHost& host, const SyncPlan& plan,
                 std::unique_ptr<StoreSink> sink, uint64_t window_size);
  ~TransferIngest() { stop_workers(); }

  // Whether the peer waits for its commit.
  bool is_committing();

  // Reads frames until the peer ends the connection. Throws the first failure of any thread.
  void run();

 private:
  struct State {
    explicit State(BatchWindow made) : window(std::move(made)) {}
    BatchWindow window;
    std::deque<Batch> to_look_up;
    std::deque<uint64_t> to_store;
    std::optional<PointDetails> to_commit;  // requested by the peer
    bool commit_taken = false;
    bool committed = false;
    bool stopping = false;
    std::optional<base::Error> failure;
  };

  // One of the three.
  struct Task {
    std::optional<ReceivedBatch> store;
    std::optional<Batch> look_up;
    std::optional<PointDetails> commit;
  };

  void on_frame(const Frame& frame);
  void work();
  std::optional<Task> next_task();
  void look_up(const Batch& batch);
  void store(ReceivedBatch received);
  void hand_over(ReceivedBatch received);
  void salvage() noexcept;
  void stop_workers();
  void commit(const PointDetails& details);
  void verify(const ReceivedBatch& received);
  static BatchWindow::Steps advance(State& state);
  void follow(BatchWindow::Steps steps);
  void fail(const base::Error& error) noexcept;
  void fail_with(const std::exception_ptr& unexpected) noexcept;
  void throw_failure();

  FrameChannel& channel_;
  const uint16_t version_;
  TransferHost& host_;
  SyncPlan plan_;
  std::unique_ptr<StoreSink> sink_;
  base::Guarded<State> state_;
  std::condition_variable changed_;
  std::vector<std::thread> workers_;  // last: they use everything above
};

}  // namespace images
