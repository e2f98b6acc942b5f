#include "appliance/verify/serial_tail.h"

#include <algorithm>

namespace appliance::verify {
namespace {

constexpr size_t kKept = 64 << 10;           // bytes of evidence
constexpr uint64_t kInterpreted = 16 << 10;  // bytes
constexpr size_t kReads = 2000;              // with known times: ten minutes of a busy line

}  // namespace

uint64_t SerialTail::offset_within(uint64_t log_size) {
  if (log_size < offset_) offset_ = 0;
  return offset_;
}

void SerialTail::add(std::string_view piece, Clock::time_point read) {
  text_ += piece;
  end_ += piece.size();
  offset_ += piece.size();
  if (text_.size() > kKept) text_.erase(0, text_.size() - kKept);
  reads_.push_back({read, end_});
  if (reads_.size() > kReads) reads_.pop_front();
}

void SerialTail::restart(Clock::time_point time) {
  begin_ = 0;
  for (const auto& [read, size_then] : reads_) {
    if (read < time) begin_ = size_then;
  }
}

std::optional<std::string_view> SerialTail::take_news() {
  if (taken_ == end_ && taken_from_ == begin_) return std::nullopt;
  taken_ = end_;
  taken_from_ = begin_;
  uint64_t kept_from = end_ - text_.size();
  uint64_t begin = std::max({begin_, kept_from, end_ - std::min(end_, kInterpreted)});
  return std::string_view(text_).substr(static_cast<size_t>(begin - kept_from));
}

}  // namespace appliance::verify
