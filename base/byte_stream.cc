#include "base/byte_stream.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace base {
namespace {

// A stream whose first bytes have already been read.
class PrefixedStream : public ByteStream {
 public:
  PrefixedStream(std::unique_ptr<ByteStream> stream, Bytes prefix)
      : stream_(std::move(stream)), prefix_(std::move(prefix)) {}

  size_t read_some(MutableByteView out, std::chrono::milliseconds timeout) override {
    if (taken_ == prefix_.size()) return stream_->read_some(out, timeout);
    size_t count = std::min(out.size(), prefix_.size() - taken_);
    std::copy_n(prefix_.begin() + static_cast<ptrdiff_t>(taken_), count, out.begin());
    taken_ += count;
    return count;
  }
  bool wait_readable(std::chrono::milliseconds timeout) override {
    return taken_ < prefix_.size() || stream_->wait_readable(timeout);
  }
  void write_all(ByteView bytes, std::chrono::milliseconds timeout) override {
    stream_->write_all(bytes, timeout);
  }
  void finish() noexcept override { stream_->finish(); }
  void abort() noexcept override { stream_->abort(); }
  const std::string& peer() const override { return stream_->peer(); }

 private:
  std::unique_ptr<ByteStream> stream_;
  Bytes prefix_;
  size_t taken_ = 0;
};

}  // namespace

bool read_exactly(ByteStream& stream, MutableByteView out, std::chrono::milliseconds timeout) {
  size_t filled = 0;
  while (filled < out.size()) {
    size_t count = stream.read_some(out.subspan(filled), timeout);
    if (count == 0 && filled == 0) return false;
    if (count == 0)
      throw Error(ErrorCode::unavailable, stream.peer() + " ended the connection too early");
    filled += count;
  }
  return true;
}

std::unique_ptr<ByteStream> with_prefix(std::unique_ptr<ByteStream> stream, Bytes prefix) {
  if (prefix.empty()) return stream;
  return std::make_unique<PrefixedStream>(std::move(stream), std::move(prefix));
}

}  // namespace base
