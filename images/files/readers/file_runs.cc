#include "images/files/readers/file_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxRuns = 4'000'000;  // of one file: 96 MiB

}  // namespace

void FileRuns::add(uint64_t offset, uint64_t place, uint64_t length) {
  if (length == 0 || offset >= size_) return;
  length = std::min(length, size_ - offset);
  if (place > disk_.size() || length > disk_.size() - place)
    throw Error(ErrorCode::corrupt, "a part of the file lies beyond the end of the disk");
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (last.offset + last.length == offset && last.place + last.length == place) {
      last.length += length;
      return;
    }
  }
  if (runs_.size() >= kMaxRuns)
    throw Error(ErrorCode::unsupported,
                fmt::format("the file is in more than {} pieces", kMaxRuns));
  runs_.push_back({offset, place, length});
}

void FileRuns::close() {
  std::sort(runs_.begin(), runs_.end(),
            [](const Run& a, const Run& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < runs_.size(); ++i) {
    if (runs_[i - 1].offset + runs_[i - 1].length > runs_[i].offset)
      throw Error(ErrorCode::corrupt, "parts of the file overlap");
  }
}

void FileRuns::read(uint64_t offset, base::MutableByteView out) {
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t at, const Run& each) { return at < each.offset; });
  if (run != runs_.begin()) --run;
  while (!out.empty()) {
    while (run != runs_.end() && run->offset + run->length <= offset) ++run;
    bool is_hole = run == runs_.end() || offset < run->offset;
    uint64_t until = run == runs_.end() ? offset + out.size()
                     : is_hole          ? run->offset
                                        : run->offset + run->length;
    size_t size = static_cast<size_t>(std::min<uint64_t>(out.size(), until - offset));
    if (is_hole) std::fill_n(out.begin(), size, uint8_t{0});
    else disk_.read(run->place + (offset - run->offset), out.first(size));
    offset += size;
    out = out.subspan(size);
  }
}

std::vector<DataRange> FileRuns::ranges(size_t limit) {
  std::vector<DataRange> all;
  all.reserve(runs_.size());
  for (const Run& run : runs_) {
    if (!all.empty() && all.back().offset + all.back().length == run.offset)
      all.back().length += run.length;
    else all.push_back({run.offset, run.length});
  }
  return merged(std::move(all), limit);
}

uint64_t FileRuns::place_of(uint64_t offset) const {
  for (auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                                   [](uint64_t at, const Run&each) { return at < each.offset; });
       run != runs_.begin();) {
    --run;
    if (offset - run->offset < run->length) return run->place + (offset - run->offset);
    break;
  }
  throw Error(ErrorCode::corrupt, "a part of the file is not on the disk");
}

std::vector<DataRange> FileRuns::pieces() const {
  std::vector<DataRange> all;
  for (const Run& run : runs_) all.push_back({run.offset, run.length});
  return all;
}

void SmallContent::read(uint64_t offset, base::MutableByteView out) {
  std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
}

std::vector<DataRange> SmallContent::ranges(size_t) {
  if (bytes_.empty()) return {};
  return {{0, bytes_.size()}};
}

std::vector<DataRange> merged(std::vector<DataRange> ranges, size_t limit) {
  if (ranges.size() <= limit) return ranges;
  std::vector<uint64_t> holes;
  for (size_t i = 1; i < ranges.size(); ++i)
    holes.push_back(ranges[i].offset - ranges[i - 1].offset - ranges[i - 1].length);
  auto kept = holes.end() - static_cast<ptrdiff_t>(limit / 2);
  std::nth_element(holes.begin(), kept, holes.end());
  uint64_t smallest = *kept + 1;  // holes of at least this size stay: at most limit / 2
  std::vector<DataRange> out;
  for (const DataRange& each : ranges) {
    uint64_t end = out.empty() ? 0 : out.back().offset + out.back().length;
    if (!out.empty() && each.offset - end < smallest)
      out.back().length = each.offset + each.length - out.back().offset;
    else out.push_back(each);
  }
  return out;
}

base::Bytes read_bytes(DiskSource& disk, uint64_t offset, uint64_t size, const char* what) {
  if (offset > disk.size() || size > disk.size() - offset)
    throw Error(ErrorCode::corrupt, fmt::format("{} lies beyond the end of the disk", what));
  base::Bytes bytes(size);
  disk.read(offset, bytes);
  return bytes;
}

}  // namespace images::files
