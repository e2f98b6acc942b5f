#include "agent/service_files.h"

namespace agent {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

RateFollower::RateFollower(std::string path, base::RateLimit& limit)
    : path_(std::move(path)), limit_(limit) {
  look();
}

void RateFollower::look() {
  if (Clock::now() - looked_ < std::chrono::seconds(1)) return;
  looked_ = Clock::now();
  if (auto rate = orders::read_rate_file(path_)) limit_.set_rate(*rate);
}

void PositionFile::show(const orders::SyncPosition& position) {
  if (Clock::now() - shown_ < std::chrono::milliseconds(500)) return;
  shown_ = Clock::now();
  orders::write_position_file(path_, position);
}

}  // namespace agent
