// Frames over a ByteStream, with keep-alive. Thread-safety: one thread calls next(), any number
// call write(); the stream must outlive the channel.
//
// A lock is held while a frame is written, which may wait for the peer: frames must not interleave.
// That lock is not needed to make the peer read: next() only tries to take it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

#include "base/byte_stream.h"
#include "images/wire/transfer_format.h"

namespace images {

constexpr std::chrono::milliseconds kPingAfter = std::chrono::seconds(15);  // of silence
constexpr std::chrono::milliseconds kPeerTimeout =
    std::chrono::seconds(60);  // of silence in spite of pings

struct Frame {
  wire::FrameType type;
  base::ByteView payload;  // valid until the next call of next()
};

class FrameChannel {
 public:
  explicit FrameChannel(base::ByteStream& stream) : stream_(stream) {}

  // What is required of a peer that only keeps the connection alive: before the next frame of
  // another kind, at most `limit` may pass since the last one in either direction. `is_ours` (may
  // be empty) says whether this side keeps the peer waiting; then nothing is required. The reader's
  // thread calls both functions, which replace each other's effect.
  void expect_frames(std::chrono::milliseconds limit, std::function<bool()> is_ours = {});
  // All remaining frames must arrive before `limit` has passed.
  void expect_within(std::chrono::milliseconds limit);

  // The next frame other than PING and PONG, which are handled here. Nothing if the peer ended the
  // stream. Throws unavailable (the peer died or is silent), busy (it owes a frame), corrupt (not a
  // frame), cancelled.
  std::optional<Frame> next();

  // Takes frames as returned by the encode() functions. Throws as ByteStream::write_all().
  void write(base::ByteView frame);

  // Tells the peer why this side ends the session, and finishes the stream. Only the first call has
  // an effect, and what is written later is lost. Never throws: the peer may be gone.
  void end_with(const base::Error& error) noexcept;

  base::ByteStream& stream() { return stream_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool read_frame();
  void wait_for_bytes();
  void throw_if_overdue();

  base::ByteStream& stream_;
  std::mutex write_mutex_;
  std::atomic<bool> ended_{false};
  // The reader's current frame and its header.
  wire::FrameHeader header_;
  base::Bytes payload_;
  std::chrono::milliseconds limit_{0};  // 0: none
  bool is_total_ = false;               // counted from expect_within() instead of the last frame
  Clock::time_point since_{};
  std::function<bool()> is_ours_;
  std::atomic<Clock::time_point> last_written_{Clock::time_point()};
};

}  // namespace images
