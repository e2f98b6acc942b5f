// Partitions of one disk as files, for muletto-windows: QEMU's storage daemon presents them (FUSE, in
// a mount namespace of its own), so this machine's kernel never parses them. Not thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/scratch_directory.h"
#include "base/subprocess.h"

namespace appliance::boot {

struct PresentedRange {
  uint64_t offset = 0, size = 0;  // bytes
};

class PartitionView {
 public:
  enum class Access { read, write };

  // `image` is what QEMU calls a block device: {"driver": "qcow2", ...}. Only the first range may be
  // written, and only with Access::write. Throws unavailable.
  PartitionView(nlohmann::json image, const std::vector<PresentedRange>& ranges, Access access);

  // Runs muletto-windows without rights; its answer. `input_path` is its standard input; may be
  // empty. Throws unsupported if nothing was written, io if something may have been.
  nlohmann::json run(std::vector<std::string> words, const std::string& input_path = "");

  // Everything is in the image when it returns. Throws io.
  void close();

  const std::string& path(size_t index) const { return paths_[index]; }

 private:
  base::ScratchDirectory scratch_;
  std::vector<std::string> paths_;
  Access access_;
  std::optional<base::Subprocess> server_;
};

// {"driver": "qcow2", ...} of an overlay.
nlohmann::json overlay_image(const std::string& path);
// Of a raw image or a block device.
nlohmann::json raw_image(const std::string& path);
// Of a disk that an NBD server on a Unix socket exports.
nlohmann::json exported_image(const std::string& socket_path, const std::string& disk_name);

}  // namespace appliance::boot
