// What ObjectPlace needs of an object store: whole objects, conditional puts, lists in pages, and
// one clock. An S3 client implements it; memory_object_store.h does in memory.
//
// Strongly consistent: a find, read or list that begins after a put or remove returned sees it.
// Thread-safe. Errors: base::Error; not_found, no_space, io, unavailable (the object store cannot
// be reached, or refuses). After a throw a put or remove may have happened, or may still happen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images {

struct ObjectInfo {
  std::string name;
  uint64_t size = 0;         // bytes
  std::string version;       // no two puts of a name have the same (S3: its ETag)
  uint64_t modified_ms = 0;  // when it was put, by the object store's clock
  uint64_t writer = 0;       // as it was put; find() tells it, list() does not
};

struct ObjectPage {
  std::vector<ObjectInfo> objects;   // directly under the prefix, by name
  std::vector<std::string> folders;  // the next part of longer names, with its slash
  std::string next;                  // where the next page begins; empty: this is the last one
};

struct PutOptions {
  enum class Only { always, if_absent, if_version };
  Only only = Only::always;
  std::string version;  // for if_version: the version that is replaced
  uint64_t writer = 0;  // kept with the object
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // What a person calls it: s3://bucket/prefix.
  virtual const std::string& location() const = 0;

  // Atomic, and durable when it returns. Nothing, and no change, if the condition does not hold.
  virtual std::optional<ObjectInfo> put(const std::string& name, base::ByteView bytes,
                                        const PutOptions& options) = 0;
  virtual std::optional<ObjectInfo> find(const std::string& name) = 0;
  // Fills `out` from `offset`; throws not_found, and corrupt if the object ends before that.
  virtual void read(const std::string& name, uint64_t offset, base::MutableByteView out) = 0;
  // One page of what begins with `prefix` (empty, or it ends with a slash). `from` is empty, or the
  // `next` of the page before.
  virtual ObjectPage list(const std::string& prefix, const std::string& from) = 0;
  virtual void remove(const std::string& name) = 0;  // no error if it does not exist

  // The object store's clock. Makes no request: the date of an earlier answer, plus the time that
  // passed here since, during which the machine may have slept. Never earlier than that of an
  // answer that came before.
  virtual uint64_t now_ms() = 0;
};

}  // namespace images
