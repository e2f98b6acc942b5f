// A volume of a map, as a disk that can be read: LVM, software RAID and encryption, read in user
// space. Thread-safe: read() by any number of threads, as far as the disks below allow it.
#pragma once

#include <memory>
#include <vector>

#include "images/disk_source.h"
#include "images/volumes/volume_map.h"

namespace images::volumes {

class MappedVolume : public DiskSource {
 public:
  // `map` must be valid, and `disks` be those of the map, in its order; both must outlive the
  // volume. `source` is what is served. Throws invalid_argument if the disks do not fit.
  MappedVolume(const VolumeMap& map, std::vector<DiskSource*> disks, Source source);

  uint64_t size() const override { return map_.size_of(source_); }
  // All of it is `data`: what is zero below may be anything here.
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override;
  // Throws what the disks throw.
  void read(uint64_t offset, base::MutableByteView out) override;

 private:
  void read_source(Source source, uint64_t offset, base::MutableByteView out) const;
  void read_plain(const Layer& layer, uint64_t offset, base::MutableByteView out) const;
  void read_decrypted(const Layer& layer, uint64_t offset, base::MutableByteView out) const;
  void read_segment(const Segment& segment, uint64_t offset, base::MutableByteView out) const;
  void read_row(const Segment& segment, uint64_t place, uint64_t chunk, uint64_t at,
                base::MutableByteView out) const;

  const VolumeMap& map_;
  const std::vector<DiskSource*> disks_;
  const Source source_;
};

}  // namespace images::volumes
