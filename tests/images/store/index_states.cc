#include "tests/images/store/index_states.h"

#include <filesystem>
#include <fstream>

#include "base/file_system.h"

namespace images {
namespace {

constexpr size_t kPageSize = 4096;

void put_file(const std::string& directory, const base::Bytes& bytes) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  std::ofstream out(directory + "/data.mdb", std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

void overwrite_page(base::Bytes& bytes, bool garbage, std::mt19937_64& random) {
  size_t page = random() % (bytes.size() / kPageSize);
  for (size_t i = page * kPageSize; i < (page + 1) * kPageSize; ++i) {
    bytes[i] = garbage ? static_cast<uint8_t>(random()) : uint8_t{0};
  }
}

}  // namespace

void IndexStates::remember() {
  base::FileSystem& files = base::real_file_system();
  std::string path = directory_ + "/data.mdb";
  if (!files.exists(path)) return;
  auto file = files.open(path);
  if (file->size() < 2 * kPageSize) return;
  // Every commit changes one of the first two pages.
  base::Bytes head(2 * kPageSize);
  file->read_at(0, head);
  if (!states_.empty() && std::equal(head.begin(), head.end(), states_.back().begin())) return;
  base::Bytes bytes(file->size());
  file->read_at(0, bytes);
  states_.push_back(std::move(bytes));
  if (states_.size() > kMostStates) states_.erase(states_.begin());
}

std::string IndexStates::restore(const std::string& target, std::mt19937_64& random) const {
  uint64_t choice = random() % 16;
  if (states_.empty() || choice == 0) {
    std::filesystem::remove_all(target);
    return "no index";
  }
  base::Bytes bytes = states_.back();
  std::string what = "the last index";
  if (choice < 5) {
    size_t age = random() % states_.size();
    bytes = states_[states_.size() - 1 - age];
    what = "an index " + std::to_string(age) + " states old";
  } else if (choice == 5) {
    bytes.resize(random() % bytes.size());
    what = "an index cut short";
  } else if (choice < 8) {
    overwrite_page(bytes, choice == 6, random);
    what = "an index with a bad page";
  }
  put_file(target, bytes);
  return what;
}

}  // namespace images
