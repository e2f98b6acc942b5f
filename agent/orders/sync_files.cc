#include "agent/orders/sync_files.h"

#include <fstream>

namespace agent::orders {

void write_position_file(const std::string& path, const SyncPosition& position) {
  std::ofstream(path, std::ios::trunc) << position.done << ' ' << position.total << " .\n";
}

std::optional<SyncPosition> read_position_file(const std::string& path) {
  std::ifstream file(path);
  SyncPosition position;
  std::string end;
  if (file >> position.done >> position.total >> end && end == ".") return position;
  return std::nullopt;
}

void write_rate_file(const std::string& path, uint64_t rate) {
  std::ofstream(path, std::ios::trunc) << rate << " .\n";
}

std::optional<uint64_t> read_rate_file(const std::string& path) {
  std::ifstream file(path);
  uint64_t rate = 0;
  std::string end;
  if (file >> rate >> end && end == ".") return rate;
  return std::nullopt;
}

}  // namespace agent::orders
