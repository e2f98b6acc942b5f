// A disk of a point, or a part of one, as a file that any program can read: nbdkit reads the store,
// nbdfuse makes the file. The file exists in a mount namespace of its own, so that nothing of it is
// left whichever process is killed, and this machine's kernel never parses its content. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "base/subprocess.h"
#include "images/ids.h"

namespace appliance::verify {

struct ViewedPart {
  std::string disk;           // its name in the point
  uint64_t offset = 0;        // bytes
  uint64_t size = 0;          // bytes; 0: to the end of the disk
  bool writable = false;      // on a layer that is discarded
  bool bounded_files = true;  // limits the size of other files that programs write
};

struct FinishedCommand {
  int status = 0;      // as Subprocess::wait_for
  std::string output;  // both streams, at most 64 KiB
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

  // Runs a program on the file, confined (base/confinement.h). Throws cancelled, unavailable after
  // `timeout`; the program is killed then.
  FinishedCommand run(const std::vector<std::string>& command, std::chrono::milliseconds timeout,
                      const std::stop_token& stop);

 private:
  const ViewedPart part_;
  const std::string directory_;
  std::string path_;
  std::optional<base::Subprocess> server_;
};

}  // namespace appliance::verify
