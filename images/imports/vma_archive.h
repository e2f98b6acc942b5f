// Proxmox VE's backup of a machine: a stream of clusters of 64 KiB of several devices, in any
// order. Layout according to Proxmox' vma_spec.txt (pve-qemu). It is read once to find where each
// cluster lies and to verify the checksums of its headers; the content itself has none.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "images/disk_source.h"
#include "images/sources/image_headers.h"

namespace images {

class VmaArchive {
 public:
  struct Device {
    std::string name;   // "drive-scsi0"
    uint64_t size = 0;  // bytes
  };

  // Reads all headers. `path` is for messages; the file must stay open while the archive and its
  // disks exist. `on_progress` is called with the bytes passed; it may be empty, and what it throws
  // ends the reading. Memory: 8 bytes for each cluster of 64 KiB that is stored. Throws corrupt for
  // what is not such an archive, is damaged, or cut off.
  static std::shared_ptr<VmaArchive> open(const FilePart& part, const std::string& path,
                                          const std::function<void(uint64_t)>& on_progress);
  virtual ~VmaArchive() = default;

  virtual const std::vector<Device>& devices() const = 0;
  // The configuration of the machine (qemu-server.conf); empty: there is none.
  virtual const std::string& machine_config() const = 0;
  // `index` of devices(). Clusters that are not stored are zeros.
  virtual std::unique_ptr<DiskSource> disk(size_t index) const = 0;
};

}  // namespace images
