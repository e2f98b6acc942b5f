#include "appliance/stores/reading_store.h"

#include "base/file_place.h"

namespace appliance::stores {
namespace {

class ReadingStore : public images::StoreWriter {
 public:
  ReadingStore(base::FileSystem& files, const std::string& directory, const images::KeySource& key,
               const base::Error& refusal)
      : files_(files), place_(directory), refusal_(refusal),
        reader_(images::StoreReader::open(files, directory, key)) {}

  bool usable() override { return place_.is_current(); }
  images::StoreReader& reader() override { return *reader_; }
  std::unique_ptr<images::StoreSink> begin(const images::SyncPlan&) override { throw refusal_; }
  void delete_point(const images::PointId&) override { throw refusal_; }
  void set_marks(const images::PointId&, const images::PointMarks&) override { throw refusal_; }
  images::CompactResult compact(const images::CompactOptions&) override { throw refusal_; }
  images::CheckReport check(const images::CheckOptions&) override { throw refusal_; }
  images::StoreFigures figures() override { return images::read_figures(files_, place_.path()); }

 private:
  base::FileSystem& files_;
  const base::FilePlace place_;
  const base::Error refusal_;
  std::unique_ptr<images::StoreReader> reader_;
};

}  // namespace

std::shared_ptr<images::StoreWriter> open_for_reading(base::FileSystem& files,
                                                      const std::string& directory,
                                                      const images::KeySource& key,
                                                      const base::Error& refusal) {
  return std::make_shared<ReadingStore>(files, directory, key, refusal);
}

}  // namespace appliance::stores
