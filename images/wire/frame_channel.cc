#include "images/wire/frame_channel.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace images {

using base::Error;
using base::ErrorCode;

namespace {

constexpr size_t kTypeOffset = 4;  // in a frame's header

bool is_sign_of_life(wire::FrameType type) {
  return type == wire::FrameType::ping || type == wire::FrameType::pong;
}

}  // namespace

void FrameChannel::write(base::ByteView frame) {
  std::lock_guard lock(write_mutex_);
  stream_.write_all(frame, kPeerTimeout);
  if (!is_sign_of_life(static_cast<wire::FrameType>(frame[kTypeOffset])))
    last_written_ = Clock::now();
}

void FrameChannel::expect_frames(std::chrono::milliseconds limit, std::function<bool()> is_ours) {
  limit_ = limit;
  is_total_ = false;
  is_ours_ = std::move(is_ours);
  since_ = Clock::now();
}

void FrameChannel::expect_within(std::chrono::milliseconds limit) {
  expect_frames(limit);
  is_total_ = true;
}

void FrameChannel::throw_if_overdue() {
  if (limit_.count() == 0) return;
  auto now = Clock::now();
  if (is_ours_ && is_ours_()) since_ = now;
  Clock::time_point last = is_total_ ? since_ : std::max(since_, last_written_.load());
  if (now - last < limit_) return;
  // Not unavailable: the peer is there, and has to be told.
  throw Error(ErrorCode::busy,
              fmt::format("{} keeps its session open without using it", stream_.peer()));
}

void FrameChannel::end_with(const Error& error) noexcept {
  if (ended_.exchange(true)) return;
  try {
    write(wire::encode(error));
  } catch (...) {
    // A peer that cannot be told has already disconnected.
  }
  stream_.finish();
}

std::optional<Frame> FrameChannel::next() {
  for (;;) {
    throw_if_overdue();
    wait_for_bytes();
    if (!read_frame()) return std::nullopt;
    if (header_.type == wire::FrameType::ping) {
      write(wire::encode_pong());
    } else if (!is_sign_of_life(header_.type)) {
      if (!is_total_) since_ = Clock::now();
      return Frame{header_.type, base::ByteView(payload_).first(header_.size)};
    }
  }
}

void FrameChannel::wait_for_bytes() {
  for (auto silent = std::chrono::milliseconds(0); silent < kPeerTimeout; silent += kPingAfter) {
    if (stream_.wait_readable(kPingAfter)) return;
    throw_if_overdue();
    // If another thread is writing, the peer sees that this side is alive, and waiting for the lock
    // could mean that both ends wait for each other to read.
    std::unique_lock lock(write_mutex_, std::try_to_lock);
    if (lock) stream_.write_all(wire::encode_ping(), kPeerTimeout);
  }
  throw Error(ErrorCode::unavailable, fmt::format("{} has not answered for {} s", stream_.peer(),
                                                  kPeerTimeout.count() / 1000));
}

bool FrameChannel::read_frame() {
  std::array<uint8_t, wire::kHeaderSize> bytes;
  if (!base::read_exactly(stream_, bytes, kPeerTimeout)) return false;
  header_ = wire::decode_header(bytes);
  if (payload_.size() < header_.size) payload_.resize(header_.size);
  if (header_.size > 0 &&
      !base::read_exactly(stream_, base::MutableByteView(payload_).first(header_.size),
                          kPeerTimeout)) {
    throw Error(ErrorCode::unavailable, stream_.peer() + " ended the connection inside a frame");
  }
  return true;
}

}  // namespace images
