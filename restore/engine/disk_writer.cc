// The disk is divided into windows of 4 MiB, which are whole chunks. Each thread takes the next
// window, asks the disk for the ids of its chunks and the target for its holes, hashes what the
// target has there, and writes the chunks that differ, neighbours in one piece. Threads share the
// number of the next window, the counts, and the rate limit.
//
// The second phase goes over the windows again, and only reads: after fsync and without the page
// cache, so that what is compared is what the medium returns. With Verify::written it skips the
// chunks that the first phase found equal (a bit per chunk: 2 MiB for each TiB).
#include "restore/engine/disk_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/direct_writer.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/rate_limit.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;
using images::ChunkId;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kWriteWindow = 4ull << 20;
constexpr auto kReportInterval = std::chrono::milliseconds(250);

constexpr auto kVerifyNames = base::enum_names<Verify>(
    "a way to verify",
    {{Verify::none, "none"}, {Verify::written, "written"}, {Verify::all, "all"}});

uint64_t milliseconds_since(Clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
}

class DiskWriter {
 public:
  DiskWriter(images::DiskReader& disk, Target& target, const WriteOptions& options)
      : disk_(disk), target_(target), options_(options), hasher_(disk.hasher()),
        chunk_size_(hasher_.chunk_size()),
        chunk_count_((disk.size() + chunk_size_ - 1) / chunk_size_),
        window_chunks_(std::max<uint64_t>(1, kWriteWindow / chunk_size_)),
        limit_(options.rate_limit, options.stop) {
    CHECK(target.size() >= disk.size());
    CHECK(!options.only || (options.verify != Verify::all && !options.survey));
    if (options.only) {
      for (uint64_t chunk : *options.only) {
        CHECK(chunk < chunk_count_);
        if (windows_.empty() || windows_.back() != chunk / window_chunks_)
          windows_.push_back(chunk / window_chunks_);
      }
    }
    if (options.verify == Verify::written) written_chunks_.resize(chunk_count_ / 64 + 1);
  }

  WriteResult run() {
    WriteResult result;
    if (!options_.survey && options_.verify == Verify::written) {
      // What is found equal now is not read again: it has to come from the medium, not from the page
      // cache, where an interrupted restore may have left it.
      target_.sync();
      target_.drop_cache();
    }
    run_phase(WritePhase::compare);
    result.compare_ms = milliseconds_since(phase_begin_);
    if (!options_.survey) {
      target_.sync();
      result.compare_ms = milliseconds_since(phase_begin_);
      if (options_.verify != Verify::none) {
        target_.drop_cache();
        run_phase(WritePhase::verify);
        result.verify_ms = milliseconds_since(phase_begin_);
      }
    }
    result.bytes_total = disk_.size();
    result.bytes_differing = differing_;
    result.bytes_written = written_;
    result.bytes_fetched = fetched_;
    result.bytes_verified = verified_;
    return result;
  }

 private:
  struct Buffers {
    base::AlignedBuffer old_bytes, new_bytes;
    explicit Buffers(size_t size) : old_bytes(size), new_bytes(size) {}
  };

  void run_phase(WritePhase phase) {
    phase_ = phase;
    phase_begin_ = Clock::now();
    next_window_ = 0;
    {
      std::vector<std::jthread> threads;
      uint32_t count = std::max(options_.thread_count, 1u);
      *running_.lock() = count;
      for (uint32_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
      while (true) {
        bool done = false;
        {
          auto running = running_.lock();
          done = running.wait_for(thread_ended_, kReportInterval, [&] { return *running == 0; });
        }
        if (options_.on_progress) options_.on_progress(progress());
        if (done) break;
      }
    }
    if (std::exception_ptr failure = *failure_.lock()) std::rethrow_exception(failure);
    if (options_.stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  }

  void work() {
    try {
      Buffers buffers(window_chunks_ * chunk_size_);
      const uint64_t window_count =
          options_.only ? windows_.size() : (chunk_count_ + window_chunks_ - 1) / window_chunks_;
      while (!failed_ && !options_.stop.stop_requested()) {
        uint64_t turn = next_window_++;
        if (turn >= window_count) break;
        uint64_t window = options_.only ? windows_[turn] : turn;
        if (phase_ == WritePhase::compare) write_window(window, buffers);
        else verify_window(window, buffers);
      }
    } catch (...) {
      failed_ = true;
      auto failure = failure_.lock();
      if (*failure == nullptr) *failure = std::current_exception();
    }
    *running_.lock() -= 1;
    thread_ended_.notify_all();
  }

  uint64_t chunk_end(uint64_t chunk) const {
    return std::min((chunk + 1) * chunk_size_, disk_.size());
  }

  // The ids of what the target has in [first, first + count).
  std::vector<ChunkId> target_ids(uint64_t first, uint64_t count, base::AlignedBuffer& buffer) {
    const uint64_t begin = first * chunk_size_, end = chunk_end(first + count - 1);
    base::MutableByteView bytes = buffer.first(count * chunk_size_);
    std::vector<images::Extent> extents = target_.extents(begin, end - begin);
    if (extents.size() == 1 && extents.front().kind == images::ExtentKind::zero)
      return std::vector<ChunkId>(count);
    for (const images::Extent& extent : extents) {
      base::MutableByteView part = bytes.subspan(extent.offset - begin, extent.length);
      if (extent.kind == images::ExtentKind::zero) std::fill(part.begin(), part.end(), uint8_t{0});
      else target_.read(extent.offset, part);
    }
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(end - begin), bytes.end(), uint8_t{0});
    std::vector<ChunkId> ids(count);
    auto plain = [&](uint64_t i) { return bytes.subspan(i * chunk_size_, chunk_size_); };
    std::optional<uint64_t> waiting;  // two at once are hashed in little more than half the time
    for (uint64_t i = 0; i < count; ++i) {
      if (base::is_all_zero(plain(i))) continue;
      if (!waiting) {
        waiting = i;
        continue;
      }
      auto pair = hasher_.ids_of(plain(*waiting), plain(i));
      ids[*waiting] = pair[0];
      ids[i] = pair[1];
      waiting.reset();
    }
    if (waiting) ids[*waiting] = hasher_.id_of(plain(*waiting));
    return ids;
  }

  // The same ids, except of the chunks that are to be written.
  std::vector<ChunkId> others_than(const std::vector<ChunkId>& wanted, uint64_t first) const {
    std::vector<ChunkId> ids = wanted;
    auto listed = std::lower_bound(options_.only->begin(), options_.only->end(), first);
    for (; listed != options_.only->end() && *listed < first + ids.size(); ++listed)
      ids[*listed - first].bytes[0] ^= 1;
    return ids;
  }

  void write_window(uint64_t window, Buffers& buffers) {
    const uint64_t first = window * window_chunks_;
    const uint64_t count = std::min(window_chunks_, chunk_count_ - first);
    std::vector<ChunkId> wanted = disk_.chunk_ids(first, count);
    std::vector<ChunkId> found =
        options_.only ? others_than(wanted, first) : target_ids(first, count, buffers.old_bytes);
    for (uint64_t i = 0; i < count;) {
      if (wanted[i] == found[i]) {
        ++i;
        continue;
      }
      // Neighbours that differ, and are all zeros or all data.
      uint64_t end = i + 1;
      while (end < count && wanted[end] != found[end] &&
             wanted[end].is_zero() == wanted[i].is_zero())
        ++end;
      write_run(first + i, first + end, wanted[i].is_zero(), buffers.new_bytes);
      i = end;
    }
    compared_ += chunk_end(first + count - 1) - first * chunk_size_;
  }

  void write_run(uint64_t first, uint64_t end, bool zeros, base::AlignedBuffer& buffer) {
    const uint64_t offset = first * chunk_size_, length = chunk_end(end - 1) - offset;
    differing_ += length;
    if (options_.survey) return;
    if (options_.stop.stop_requested()) return;
    if (zeros) {
      target_.write_zeros(offset, length);
    } else {
      limit_.take(length);
      base::MutableByteView bytes = buffer.first(length);
      disk_.read(offset, bytes);
      fetched_ += length;
      target_.write(offset, bytes);
    }
    written_ += length;
    for (uint64_t chunk = first; chunk < end && !written_chunks_.empty(); ++chunk)
      std::atomic_ref(written_chunks_[chunk / 64]) |= uint64_t{1} << (chunk % 64);
  }

  bool must_verify(uint64_t chunk) const {
    return options_.verify == Verify::all || (written_chunks_[chunk / 64] >> (chunk % 64) & 1) != 0;
  }

  void verify_window(uint64_t window, Buffers& buffers) {
    const uint64_t first = window * window_chunks_;
    const uint64_t last = std::min(first + window_chunks_, chunk_count_);
    for (uint64_t begin = first; begin < last;) {
      if (!must_verify(begin)) {
        ++begin;
        continue;
      }
      uint64_t end = begin + 1;
      while (end < last && must_verify(end)) ++end;
      std::vector<ChunkId> wanted = disk_.chunk_ids(begin, end - begin);
      std::vector<ChunkId> found = target_ids(begin, end - begin, buffers.old_bytes);
      for (uint64_t i = 0; i < wanted.size(); ++i)
        if (wanted[i] != found[i]) throw_misread(begin + i, wanted[i]);
      verified_ += chunk_end(end - 1) - begin * chunk_size_;
      begin = end;
    }
    looked_at_ += chunk_end(last - 1) - first * chunk_size_;
  }

  // Whose fault it is decides what helps: the source is read once more, and compared.
  [[noreturn]] void throw_misread(uint64_t chunk, const ChunkId& wanted) const {
    base::Bytes plain(chunk_size_);
    disk_.read(chunk * chunk_size_,
               base::MutableByteView(plain).first(chunk_end(chunk) - chunk * chunk_size_));
    if (hasher_.id_of(plain) != wanted) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("the disk '{}' has other bytes at {} than its point says: its store, "
                              "or who sends it, is damaged; do not start the machine from {}",
                              disk_.disk().name, chunk * chunk_size_, target_.path()));
    }
    throw Error(ErrorCode::io,
                fmt::format("{} returns other bytes at {} than were written there. Its medium is "
                            "faulty, or another program wrote to it: do not start the machine "
                            "from it",
                            target_.path(), chunk * chunk_size_));
  }

  WriteProgress progress() const {
    WriteProgress now;
    now.phase = phase_;
    now.bytes_total = disk_.size();
    now.bytes_compared = compared_;
    now.bytes_differing = differing_;
    now.bytes_written = written_;
    now.bytes_fetched = fetched_;
    now.bytes_verified = verified_;
    now.elapsed_ms = milliseconds_since(phase_begin_);
    uint64_t done = phase_ == WritePhase::compare ? compared_.load() : looked_at_.load();
    if (done == 0 || now.elapsed_ms == 0) return now;
    double rate = static_cast<double>(done) / static_cast<double>(now.elapsed_ms);  // bytes per ms
    now.rate = static_cast<uint64_t>(rate * 1000);
    now.left_ms = static_cast<uint64_t>(static_cast<double>(disk_.size() - done) / rate);
    return now;
  }

  images::DiskReader& disk_;
  Target& target_;
  const WriteOptions& options_;
  const images::ChunkHasher& hasher_;
  const uint64_t chunk_size_, chunk_count_, window_chunks_;
  base::RateLimit limit_;
  WritePhase phase_ = WritePhase::compare;  // changes only while no thread runs
  Clock::time_point phase_begin_;
  std::vector<uint64_t> windows_;         // that have something of options.only
  std::vector<uint64_t> written_chunks_;  // a bit per chunk; empty unless Verify::written
  std::atomic<uint64_t> next_window_ = 0, compared_ = 0, differing_ = 0, written_ = 0, fetched_ = 0,
                        verified_ = 0, looked_at_ = 0;
  std::atomic<bool> failed_ = false;
  base::Guarded<std::exception_ptr> failure_;
  base::Guarded<uint32_t> running_;
  std::condition_variable thread_ended_;
};

}  // namespace

std::string_view phase_name(WritePhase phase) {
  return phase == WritePhase::compare ? "comparing and writing" : "reading back";
}
std::string_view verify_name(Verify verify) { return kVerifyNames.name(verify); }
Verify verify_from_name(std::string_view name) { return kVerifyNames.value(name); }

WriteResult write_differences(images::DiskReader& disk, Target& target,
                              const WriteOptions& options) {
  return DiskWriter(disk, target, options).run();
}

}  // namespace restore
