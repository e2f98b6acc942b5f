// The disk is divided into windows of 4 MiB. Each thread takes the next one, finds out which parts
// hold data, and reads and writes each such part in one piece. Threads share only the number of the
// next window.
#include "restore/raw_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <thread>
#include <vector>

#include "base/direct_writer.h"
#include "base/error.h"
#include "base/guarded.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kWindow = 4ull << 20;
constexpr auto kProgressInterval = std::chrono::milliseconds(250);

// The device does it itself if it can.
void write_zeros(int fd, const images::Extent& extent, base::AlignedBuffer& buffer,
                 base::DirectWriter& writer) {
  if (::fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(extent.offset),
                  static_cast<off_t>(extent.length)) == 0) {
    return;
  }
  base::MutableByteView zeros = buffer.first(extent.length);
  std::fill(zeros.begin(), zeros.end(), uint8_t{0});
  writer.write_at(extent.offset, zeros);
}

class RawCopy {
 public:
  RawCopy(images::DiskReader& disk, int fd, const RawOptions& options)
      : disk_(disk), fd_(fd), options_(options) {}

  RestoreProgress run() {
    std::vector<std::jthread> threads;
    for (uint32_t i = 0; i < std::max(options_.thread_count, 1u); ++i) {
      ++running_.lock().operator*();
      threads.emplace_back([this] { work(); });
    }
    while (true) {
      auto running = running_.lock();
      bool done = running.wait_for(thread_ended_, kProgressInterval, [&] { return *running == 0; });
      if (options_.on_progress) options_.on_progress(progress());
      if (done) break;
    }
    threads.clear();
    if (std::exception_ptr failure = *failure_.lock()) std::rethrow_exception(failure);
    if (options_.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
    return progress();
  }

 private:
  RestoreProgress progress() const { return {disk_.size(), done_.load(), written_.load()}; }

  void work() {
    try {
      base::AlignedBuffer buffer(kWindow);
      base::DirectWriter writer(fd_);
      while (!failed_ && !options_.stop.stop_requested()) {
        uint64_t begin = next_.fetch_add(kWindow);
        if (begin >= disk_.size()) break;
        uint64_t length = std::min(kWindow, disk_.size() - begin);
        copy_window(begin, length, buffer, writer);
        done_ += length;
      }
    } catch (...) {
      failed_ = true;
      auto failure = failure_.lock();
      if (*failure == nullptr) *failure = std::current_exception();
    }
    --running_.lock().operator*();
    thread_ended_.notify_all();
  }

  void copy_window(uint64_t begin, uint64_t length, base::AlignedBuffer& buffer,
                   base::DirectWriter& writer) {
    std::vector<images::Extent> extents = disk_.extents(begin, length);
    for (size_t i = 0; i < extents.size();) {
      images::Extent run = extents[i++];
      while (i < extents.size() && extents[i].kind == run.kind) run.length += extents[i++].length;
      if (run.kind == images::ExtentKind::zero) {
        if (options_.zeros == ZeroHandling::write) write_zeros(fd_, run, buffer, writer);
        continue;
      }
      base::MutableByteView bytes = buffer.first(run.length);
      disk_.read(run.offset, bytes);
      writer.write_at(run.offset, bytes);
      written_ += run.length;
    }
  }

  images::DiskReader& disk_;
  const int fd_;
  const RawOptions& options_;
  std::atomic<uint64_t> next_ = 0, done_ = 0, written_ = 0;
  std::atomic<bool> failed_ = false;
  base::Guarded<std::exception_ptr> failure_;
  base::Guarded<uint32_t> running_;
  std::condition_variable thread_ended_;
};

}  // namespace

RestoreProgress write_raw(images::DiskReader& disk, int fd, const RawOptions& options) {
  return RawCopy(disk, fd, options).run();
}

}  // namespace restore
