// A disk of a point, a part of one, or a volume that lies on several, as a file that any program can
// read: nbdkit reads the store, nbdfuse makes the file. The file exists in a mount namespace of its own, so that nothing of it is
// left whichever process is killed, and this machine's kernel never parses its content. Not
// thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "base/subprocess.h"
#include "images/ids.h"
#include "images/volumes/volume_map.h"

namespace appliance::verify {

// A volume (images/volumes/volume_map.h) that is viewed in place of a disk.
struct ViewedVolume {
  std::string map_path;  // a private file with the packed map; must outlive the view
  images::volumes::Source source = images::volumes::kNoSource;
};

struct ViewedPart {
  // Names in the point. One; with a volume those of its map, in that order.
  std::vector<std::string> disks;
  std::optional<ViewedVolume> volume{};
  uint64_t offset = 0;        // bytes, within the disk or the volume
  uint64_t size = 0;          // bytes; 0: to the end
  bool writable = false;      // on a layer that is discarded
  bool bounded_files = true;  // limits the size of other files that programs write
};

struct FinishedCommand {
  int status = 0;      // as Subprocess::wait_for
  std::string output;  // both streams, at most RunLimits::output_size
};

struct RunLimits {
  std::chrono::milliseconds timeout = std::chrono::minutes(5);  // it is killed then
  uint64_t memory_size = 1ull << 30;                            // bytes of address space
  size_t output_size = 64 << 10;                                // bytes
  std::string input_path{};        // the program's standard input; empty: none
  std::string output_directory{};  // where its output is meanwhile; empty: the view's folder
};

class DiskView {
 public:
  // `directory` is a private empty folder that must outlive the view; `plugin_path` may be empty.
  // Returns when the file can be read. Throws unavailable with the programs' error messages,
  // cancelled.
  DiskView(const boot::PointSource& source, const images::PointId& point, const ViewedPart& part,
           const std::string& plugin_path, const std::string& directory,
           const std::stop_token& stop);
  ~DiskView();

  const std::string& path() const { return path_; }

  // Runs a program on the file, confined (base/confinement.h). Throws cancelled, and unavailable
  // after the timeout.
  FinishedCommand run(const std::vector<std::string>& command, const RunLimits& limits,
                      const std::stop_token& stop);

 private:
  const ViewedPart part_;
  const std::string directory_;
  std::string path_;
  std::optional<base::Subprocess> server_;
};

}  // namespace appliance::verify
