#include "images/frame_channel.h"

#include <fmt/format.h>

#include "base/error.h"

namespace images {

using base::Error;
using base::ErrorCode;

void FrameChannel::write(base::ByteView frame) {
  std::lock_guard lock(write_mutex_);
  stream_.write_all(frame, kPeerTimeout);
}

void FrameChannel::end_with(const Error& error) noexcept {
  if (ended_.exchange(true)) return;
  try {
    write(wire::encode(error));
  } catch (...) {
    // Whoever cannot be told is gone already.
  }
  stream_.finish();
}

std::optional<Frame> FrameChannel::next() {
  for (;;) {
    wait_for_bytes();
    if (!read_frame()) return std::nullopt;
    if (header_.type == wire::FrameType::ping) {
      write(wire::encode_pong());
    } else if (header_.type != wire::FrameType::pong) {
      return Frame{header_.type, base::ByteView(payload_).first(header_.size)};
    }
  }
}

void FrameChannel::wait_for_bytes() {
  for (auto silent = std::chrono::milliseconds(0); silent < kPeerTimeout; silent += kPingAfter) {
    if (stream_.wait_readable(kPingAfter)) return;
    // If somebody is writing, the peer has other signs of life from us, and waiting for the lock
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
