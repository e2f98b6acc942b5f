#include "tests/images/store/old_store.h"

#include <fstream>

#include "base/crypto.h"
#include "base/error.h"

namespace images {

void unpack_old_store(base::FileSystem& files, const std::string& name,
                      const std::string& directory) {
  std::ifstream text(std::string(MULETTO_TEST_DATA) + "/images/store/" + name);
  if (!text) throw base::Error(base::ErrorCode::not_found, "there is no kept store " + name);
  base::make_directory_durably(files, directory);
  for (const char* folder : {"packs", "points"})
    base::make_directory_durably(files, base::join_path(directory, folder));
  std::string line, digits, path;
  auto write = [&] {
    if (path.empty()) return;
    std::string folder = base::parent_path(path);
    if (!files.exists(folder)) base::make_directory_durably(files, folder);
    base::write_file_durably(files, path, base::from_hex(digits, digits.size() / 2));
    digits.clear();
  };
  while (std::getline(text, line)) {
    if (line.starts_with('#')) continue;
    if (!line.starts_with("file ")) {
      digits += line;
      continue;
    }
    write();
    path = base::join_path(directory, line.substr(5));
  }
  write();
}

base::Bytes manifest_of_version_1(base::ByteView manifest, uint64_t time_ms) {
  constexpr size_t kVersion = 8, kFlags = 12, kTime = 48, kAdded = 16, kDiskCount = 76, kDisks = 80;
  constexpr size_t kDiskSize = 56;
  base::Bytes bytes(manifest.begin(), manifest.end() - 8);
  if (base::load_u32(bytes.data() + kVersion) > 2) {
    size_t fields = kDisks + kDiskSize * base::load_u32(bytes.data() + kDiskCount);
    auto begin = bytes.begin() + static_cast<ptrdiff_t>(fields);
    bytes.erase(begin, begin + 4 + base::load_u32(bytes.data() + fields));
  }
  base::store_u32(bytes.data() + kVersion, 1);
  base::store_u32(bytes.data() + kFlags, 0);
  base::store_u64(bytes.data() + kTime, time_ms);
  bytes.erase(bytes.begin() + kTime + 8, bytes.begin() + kTime + 8 + kAdded);
  base::ByteWriter written;
  written.view(bytes);
  written.u64(base::checksum64(bytes));
  return written.take();
}

}  // namespace images
