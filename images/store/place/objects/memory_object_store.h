// An ObjectStore in memory, whose clock a test moves. Thread-safe.
#pragma once

#include <functional>
#include <map>

#include "base/guarded.h"
#include "images/store/place/objects/object_store.h"

namespace images {

class MemoryObjectStore : public ObjectStore {
 public:
  // A page has at most so many objects and folders: few, so that little data crosses many pages.
  explicit MemoryObjectStore(size_t page_size = 3) : page_size_(page_size) {}

  const std::string& location() const override { return location_; }
  std::optional<ObjectInfo> put(const std::string& name, base::ByteView bytes,
                                const PutOptions& options) override;
  std::optional<ObjectInfo> find(const std::string& name) override;
  void read(const std::string& name, uint64_t offset, base::MutableByteView out) override;
  ObjectPage list(const std::string& prefix, const std::string& from) override;
  void remove(const std::string& name) override;
  uint64_t now_ms() override;

  void advance(uint64_t time_ms);
  // Called before each put arrives, with its name; may throw, advance the clock, and use the store.
  void before_each_put(std::function<void(const std::string&)> call);
  uint64_t put_count() const;

 private:
  struct Object {
    base::Bytes bytes;
    ObjectInfo info;
  };
  struct State {
    std::map<std::string, Object> objects;
    std::function<void(const std::string&)> before_put;
    uint64_t now_ms = 1'000'000;
    uint64_t put_count = 0;
  };

  const std::string location_ = "memory://objects";
  const size_t page_size_;
  mutable base::Guarded<State> state_;
};

}  // namespace images
