#include "agent/monitor/mapped_source.h"

#include "base/error.h"

namespace agent::monitor {
namespace {

using images::Extent;
using images::ExtentKind;

class MappedSource : public images::DiskSource {
 public:
  MappedSource(std::unique_ptr<images::DiskSource> content, std::unique_ptr<images::DiskSource> map)
      : content_(std::move(content)), map_(std::move(map)) {}

  uint64_t size() const override { return content_->size(); }

  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<Extent> out;
    auto append = [&](const Extent& extent) {
      if (!out.empty() && out.back().kind == extent.kind) out.back().length += extent.length;
      else out.push_back(extent);
    };
    auto append_content = [&](uint64_t begin, uint64_t end) {
      if (begin == end) return;
      for (const Extent& extent : content_->extents(begin, end - begin)) append(extent);
    };
    uint64_t begin = offset;  // of the changed piece that is not answered yet
    for (const Extent& extent : map_->extents(offset, length)) {
      if (extent.kind != ExtentKind::unchanged) continue;
      append_content(begin, extent.offset);
      append(extent);
      begin = extent.offset + extent.length;
    }
    append_content(begin, offset + length);
    return out;
  }

  void read(uint64_t offset, base::MutableByteView out) override { content_->read(offset, out); }

 private:
  std::unique_ptr<images::DiskSource> content_;
  std::unique_ptr<images::DiskSource> map_;
};

}  // namespace

std::unique_ptr<images::DiskSource> mapped_source(std::unique_ptr<images::DiskSource> content,
                                                  std::unique_ptr<images::DiskSource> map) {
  if (content->size() != map->size()) {
    throw base::Error(base::ErrorCode::busy,
                      "a disk was resized while the sync started; try again");
  }
  return std::make_unique<MappedSource>(std::move(content), std::move(map));
}

}  // namespace agent::monitor
