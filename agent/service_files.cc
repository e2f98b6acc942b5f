#include "agent/service_files.h"

#include <fstream>

namespace agent {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

void write_rate_file(const std::string& path, uint64_t rate) {
  std::ofstream(path, std::ios::trunc) << rate << " .\n";
}

std::optional<SyncPosition> read_position_file(const std::string& path) {
  std::ifstream file(path);
  SyncPosition position;
  std::string end;
  if (file >> position.done >> position.total >> end && end == ".") return position;
  return std::nullopt;
}

RateFollower::RateFollower(std::string path, RateLimit& limit)
    : path_(std::move(path)), limit_(limit) {
  look();
}

void RateFollower::look() {
  if (Clock::now() - looked_ < std::chrono::seconds(1)) return;
  looked_ = Clock::now();
  std::ifstream file(path_);
  uint64_t rate = 0;
  std::string end;
  if (file >> rate >> end && end == ".") limit_.set_rate(rate);
}

void PositionFile::show(const SyncPosition& position) {
  if (Clock::now() - shown_ < std::chrono::milliseconds(500)) return;
  shown_ = Clock::now();
  std::ofstream(path_, std::ios::trunc) << position.done << ' ' << position.total << " .\n";
}

}  // namespace agent
