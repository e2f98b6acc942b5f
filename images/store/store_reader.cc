#include "images/store/store_reader.h"

#include "base/error.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/point_disk_reader.h"
#include "images/store/point_lookup.h"
#include "images/store/store_context.h"
#include "images/store/store_reader_over.h"

namespace images {
namespace {

class IndexedReader : public StoreReader {
 public:
  IndexedReader(std::shared_ptr<StoreContext> store, const ReadOptions& options)
      : store_(std::move(store)), options_(options), directory_(*store_),
        chunks_(std::make_shared<ChunkCache>(options.chunk_cache_size /
                                             store_->parameters.chunk_size)) {}

  StoreId id() const override { return store_->parameters.id; }
  const ChunkHasher& hasher() const override { return store_->hasher; }
  std::vector<PointSummary> points() override { return directory_.points(); }
  std::vector<PointSummary> points_of(std::string_view machine_name) override {
    return directory_.points_of(machine_name);
  }
  PointId find_point(std::string_view selector) override { return directory_.find_point(selector); }
  Point read_point(const PointId& id) override { return directory_.read_point(id); }
  PointMarks marks(const PointId& id) override {
    return store_->read_marks(directory_.find_manifest(id).machine, id);
  }

  std::unique_ptr<DiskReader> open_disk(const PointId& id, std::string_view disk_name) override {
    auto manifest = directory_.find_manifest(id);
    auto lease = store_->place->leases().shared(layout::manifest_file("", manifest.machine, id));
    PointDisk disk = store_->read_point(manifest.machine, id).disk(disk_name);
    std::unique_ptr<DiskCache> cache;
    if (options_.disk_cache_size != 0) {
      cache = std::make_unique<DiskCache>(options_.cache_directory, disk.size,
                                          store_->parameters.chunk_size, options_.disk_cache_size);
    }
    return std::make_unique<PointDiskReader>(store_, std::move(disk), std::move(lease), chunks_,
                                             std::move(cache));
  }

 private:
  std::shared_ptr<StoreContext> store_;
  ReadOptions options_;
  PointLookup directory_;
  std::shared_ptr<ChunkCache> chunks_;
};

}  // namespace

std::unique_ptr<StoreReader> reader_over(std::shared_ptr<StoreContext> store,
                                         const ReadOptions& options) {
  return std::make_unique<IndexedReader>(std::move(store), options);
}

std::unique_ptr<StoreReader> StoreReader::open(std::shared_ptr<StorePlace> place,
                                               const KeySource& key, const ReadOptions& options,
                                               const std::string& index_directory) {
  std::shared_ptr<StoreContext> store = open_store_context(std::move(place), key, KeyUse::required);
  try {
    store->open_index(index_directory.empty() ? store->place->index_directory() : index_directory,
                      false);
  } catch (const base::Error& error) {
    throw base::Error(error.code(), error.message() + "; 'muletto store rebuild " +
                                        store->directory + "' rebuilds it");
  }
  return reader_over(std::move(store), options);
}

std::unique_ptr<StoreReader> StoreReader::open(base::FileSystem& files,
                                               const std::string& directory, const KeySource& key,
                                               const ReadOptions& options) {
  return open(local_place(files, directory), key, options);
}

}  // namespace images
