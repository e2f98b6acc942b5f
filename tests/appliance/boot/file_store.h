// A store of one point whose disks are raw files: boots without packs and plugin. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/store/store_writer.h"

namespace appliance::boot {

class FileStore : public images::StoreReader {
 public:
  FileStore(std::string machine_name, images::MachineDefinition definition);

  void add_disk(const std::string& name, const std::string& path);
  images::Point& point() { return point_; }

  images::StoreId id() const override { return {}; }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::PointSummary> points() override;
  std::vector<images::PointSummary> points_of(std::string_view machine_name) override;
  images::PointId find_point(std::string_view selector) override;
  images::Point read_point(const images::PointId& id) override;
  images::PointMarks marks(const images::PointId&) override { return {}; }
  std::unique_ptr<images::DiskReader> open_disk(const images::PointId& id,
                                                std::string_view disk_name) override;

 private:
  images::ChunkHasher hasher_{images::kDefaultChunkSize};
  images::Point point_;
  std::vector<std::string> paths_;
};

}  // namespace appliance::boot
