// A disk of an NBD server: libvirt's pull backups, qemu-nbd on an image file, nbdkit. Uses libnbd;
// see the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md) and QEMU's
// docs/interop/nbd.txt.
//
// Zeros come from the meta context base:allocation. Changes come, if requested, from a dirty
// bitmap, the meta context qemu:dirty-bitmap:NAME: what is not dirty is `unchanged`, and a short
// dirty piece is treated as data without a further query, even if it is zero.
//
// Thread-safe: read() uses a separate connection per call, up to a limit; beyond it, callers wait.
#pragma once

#include <memory>
#include <string>

#include "images/disk_source.h"

namespace images {

struct NbdOptions {
  std::string socket_path;        // a unix socket; or else
  std::string uri;                // an NBD URI, which names the export as well
  std::string export_name;        // with socket_path; empty: the server's default export
  std::string dirty_bitmap;       // its name; empty: no change tracking
  uint32_t connection_count = 4;  // plus one with a dirty bitmap
};

class NbdDiskSource : public DiskSource {
 public:
  // Connects. Throws unavailable if the server does not answer, unsupported if it lacks the dirty
  // bitmap.
  explicit NbdDiskSource(const NbdOptions& options);
  ~NbdDiskSource() override;

  uint64_t size() const override;
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override;
  void read(uint64_t offset, base::MutableByteView out) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace images
