#include "images/store/place/objects/object_place.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

[[noreturn]] void fail_missing(const ObjectStore& objects, const std::string& name) {
  throw Error(ErrorCode::not_found, "there is no " + name + " in " + objects.location());
}

ObjectInfo find_or_fail(ObjectStore& objects, const std::string& name) {
  auto info = objects.find(name);
  if (!info) fail_missing(objects, name);
  return *info;
}

class ObjectReader : public base::ReadableFile {
 public:
  ObjectReader(ObjectStore& objects, ObjectInfo info) : objects_(objects), info_(std::move(info)) {}

  uint64_t size() const override { return info_.size; }
  void read_at(uint64_t offset, base::MutableByteView out) const override {
    objects_.read(info_.name, offset, out);
  }

 private:
  ObjectStore& objects_;
  const ObjectInfo info_;
};

class ObjectBlobs : public BlobStore {
 public:
  ObjectBlobs(ObjectStore& objects, ObjectLeases& leases) : objects_(objects), leases_(leases) {}

  bool exists(const std::string& name) override {
    if (objects_.find(name)) return true;
    ObjectPage page = objects_.list(name + "/", "");
    return !page.objects.empty() || !page.folders.empty();
  }

  base::Bytes get(const std::string& name, uint64_t limit) override {
    ObjectInfo info = find_or_fail(objects_, name);
    if (info.size > limit) {
      throw Error(ErrorCode::corrupt, name + " has " + std::to_string(info.size) +
                                          " bytes; at most " + std::to_string(limit) +
                                          " are allowed");
    }
    base::Bytes bytes(info.size);
    objects_.read(name, 0, bytes);
    return bytes;
  }

  std::unique_ptr<base::ReadableFile> open(const std::string& name) override {
    return std::make_unique<ObjectReader>(objects_, find_or_fail(objects_, name));
  }

  std::vector<std::string> list(const std::string& folder) override {
    return names_in(folder, [](const ObjectInfo&) { return true; });
  }

  std::vector<std::string> list_tidied(const std::string& folder) override {
    return names_in(folder, [this](const ObjectInfo& info) { return !remove_if_late(info); });
  }

  void put(const std::string& name, base::ByteView bytes) override { put(name, bytes, {}); }

  bool replace(const std::string& name, base::ByteView expected, base::ByteView bytes) override {
    ObjectInfo info = find_or_fail(objects_, name);
    if (info.size != expected.size()) return false;
    base::Bytes old(info.size);
    objects_.read(name, 0, old);
    if (!std::equal(old.begin(), old.end(), expected.begin())) return false;
    return put(name, bytes, {PutOptions::Only::if_version, info.version, 0});
  }

  void remove(const std::string& name) override {
    leases_.require_writer();
    objects_.remove(name);
  }

  void sync_names(const std::string&) override {}  // every answered request is durable

  // False if the condition does not hold.
  bool put(const std::string& name, base::ByteView bytes, PutOptions options) {
    options.writer = leases_.require_writer();
    bool done = objects_.put(name, bytes, options).has_value();
    // What arrived after the end of the lease is taken for late by the next writer.
    if (leases_.require_writer() != options.writer)
      throw Error(ErrorCode::unavailable, "the lease of the writer of " + location() + " ended");
    return done;
  }

 private:
  const std::string& location() const { return objects_.location(); }

  template <typename Keep>
  std::vector<std::string> names_in(const std::string& folder, Keep keep) {
    std::vector<std::string> names;
    const std::string prefix = folder + "/";
    std::string from;
    do {
      ObjectPage page = objects_.list(prefix, from);
      for (const ObjectInfo& each : page.objects) {
        if (keep(each)) names.push_back(each.name.substr(prefix.size()));
      }
      for (const std::string& each : page.folders) names.push_back(each.substr(0, each.size() - 1));
      from = page.next;
    } while (!from.empty());
    std::sort(names.begin(), names.end());
    return names;
  }

  bool remove_if_late(const ObjectInfo& listed) {
    if (!leases_.may_be_late(listed)) return false;
    auto info = objects_.find(listed.name);
    if (!info) return true;
    if (!leases_.is_late(*info)) return false;
    base::log().warn("{} in {} came from a writer whose lease had ended; it is removed",
                     listed.name, location());
    remove(listed.name);
    return true;
  }

  ObjectStore& objects_;
  ObjectLeases& leases_;
};

class ObjectPack : public PackWriter {
 public:
  // `kept`: of the object that is there already; read only if it has to be put again.
  ObjectPack(ObjectStore& objects, ObjectBlobs& blobs, std::string name, uint64_t kept,
             bool is_changed)
      : objects_(objects), blobs_(blobs), name_(std::move(name)), size_(kept), unread_(kept),
        is_changed_(is_changed) {}

  uint64_t size() const override { return size_; }

  void append(base::ByteView bytes) override {
    read_kept();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    size_ += bytes.size();
    is_changed_ = true;
  }

  void flush() override {
    if (!is_changed_) return;
    read_kept();
    blobs_.put(name_, bytes_);
    is_changed_ = false;
    bytes_ = {};
    unread_ = size_;
  }

 private:
  void read_kept() {
    if (unread_ == 0) return;
    bytes_.resize(unread_);
    objects_.read(name_, 0, bytes_);
    unread_ = 0;
  }

  ObjectStore& objects_;
  ObjectBlobs& blobs_;
  const std::string name_;
  base::Bytes bytes_;
  uint64_t size_;
  uint64_t unread_;
  bool is_changed_;
};

class ObjectPacks : public PackStore {
 public:
  ObjectPacks(ObjectStore& objects, ObjectBlobs& blobs) : objects_(objects), blobs_(blobs) {}

  bool grow() const override { return false; }

  std::unique_ptr<PackWriter> create(const PackId& pack, NameDurable) override {
    return std::make_unique<ObjectPack>(objects_, blobs_, layout::pack_file("", pack), 0, true);
  }

  std::unique_ptr<PackWriter> take_over(const PackId& pack, uint64_t size) override {
    std::string name = layout::pack_file("", pack);
    ObjectInfo info = find_or_fail(objects_, name);
    bool is_changed = info.size != size;
    return std::make_unique<ObjectPack>(objects_, blobs_, std::move(name), size, is_changed);
  }

  void truncate(const PackId& pack, uint64_t) override {
    throw Error(ErrorCode::unsupported,
                "pack " + pack.hex() + " is an object, which cannot be cut");
  }

 private:
  ObjectStore& objects_;
  ObjectBlobs& blobs_;
};

}  // namespace

ObjectPlace::ObjectPlace(ObjectStore& objects) : objects_(objects), leases_(objects) {
  auto blobs = std::make_unique<ObjectBlobs>(objects, leases_);
  packs_ = std::make_unique<ObjectPacks>(objects, *blobs);
  blobs_ = std::move(blobs);
}

ObjectPlace::~ObjectPlace() = default;

void ObjectPlace::create(std::span<const NewBlob> blobs) {
  // Two at once would each put a key.
  auto alone = leases_.writer();
  auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::already_exists, location() + why);
  };
  if (objects_.find(layout::parameters_file(""))) refuse(" is a store already");
  std::string from;
  do {
    ObjectPage page = objects_.list("", from);
    for (const ObjectInfo& each : page.objects) {
      if (each.name != layout::key_file(""))
        refuse(" is not empty; a store needs a place of its own");
    }
    for (const std::string& each : page.folders) {
      if (each != "leases/" && each != "writers/")
        refuse(" is not empty; a store needs a place of its own");
    }
    from = page.next;
  } while (!from.empty());
  for (const NewBlob& blob : blobs) blobs_->put(blob.name, blob.bytes);
}

}  // namespace images
