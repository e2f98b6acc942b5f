// A machine known only by its image files: nothing freezes them, nothing tracks their changes. They
// are read in full and compared by hash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/capture.h"

namespace agent {

struct ImageDisk {
  std::string name;
  std::string path;
  std::string format;  // empty: raw, see images/sources/image_file_source.h
};

// Throws what images::open_image_source() throws.
std::unique_ptr<Capture> capture_images(const std::vector<ImageDisk>& images,
                                        const CaptureSettings& settings);

}  // namespace agent
