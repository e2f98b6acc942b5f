// The place where a store is: what the store needs of it, and nothing about what it is made of.
// Implementations: a directory of a file system (local_place.h), and whole immutable objects with
// leases (objects/object_place.h). All pass the contract test
// tests/images/store/store_place_contract.cc. docs/decisions/storage-seam.md says why it is like
// this.
//
// A name is relative to the store and made by layout.h: "store", "points/<machine>/<point>.point".
// A folder is the part of a name before a slash; nobody creates one.
//
// Thread-safety: everything here may be used by any number of threads, except that a PackWriter is
// used by one at a time. Errors: base::Error; not_found, corrupt (ends too early, too large), io,
// no_space, and unavailable when the place is gone, or is no longer this process's to write to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file_system.h"
#include "images/ids.h"

namespace images {

// Whole blobs with a name. What was put does not change, except by replace().
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Whether there is a blob with this name, or a folder.
  virtual bool exists(const std::string& name) = 0;
  // The whole blob; throws corrupt if it has more than `limit` bytes.
  virtual base::Bytes get(const std::string& name, uint64_t limit) = 0;
  // To read parts of it. It stays readable if it is removed meanwhile, or reads throw not_found
  // from then on.
  virtual std::unique_ptr<base::ReadableFile> open(const std::string& name) = 0;
  // The names directly in a folder, without the folder's, sorted: blobs and folders. What was put
  // before the call is in it. A folder that does not exist is not_found where places have folders
  // of their own, and empty elsewhere.
  virtual std::vector<std::string> list(const std::string& folder) = 0;
  // The same, after removing what only an interrupted put, or a writer that came too late, left
  // there. Only for the writer.
  virtual std::vector<std::string> list_tidied(const std::string& folder) = 0;

  // As a whole or not at all; visible and durable when it returns. After a throw the blob may
  // exist. An existing blob with this name is replaced.
  virtual void put(const std::string& name, base::ByteView bytes) = 0;
  // The same, if its content is still `expected`; otherwise it changes nothing and returns false.
  // A place whose blobs have no versions may leave the comparison to the writer's lease.
  virtual bool replace(const std::string& name, base::ByteView expected, base::ByteView bytes) = 0;
  // The blob is gone for every reader that opens it afterwards. No error if it does not exist.
  // Durable only after sync_names() of its folder.
  virtual void remove(const std::string& name) = 0;
  // What was removed from the folder, and what is in it, remains so after a power cut.
  virtual void sync_names(const std::string& folder) = 0;
};

// One pack that is being written. Destroyed without flush(), what was appended since the last one
// may or may not be there.
class PackWriter {
 public:
  virtual ~PackWriter() = default;
  virtual uint64_t size() const = 0;  // bytes of the pack, with those appended so far
  // Does not keep `bytes`. Visible to readers at once, or after flush().
  virtual void append(base::ByteView bytes) = 0;
  // All appended bytes are durable and can be read when it returns, and so is the pack's name.
  virtual void flush() = 0;
};

// When the name of a new pack becomes durable: with its creation, or with its first flush, which
// spares those who wait for the creation.
enum class NameDurable { at_creation, at_flush };

class PackStore {
 public:
  virtual ~PackStore() = default;

  // Whether a pack can be flushed, read, and appended to afterwards. If not, a pack is sealed
  // before its only flush.
  virtual bool grow() const = 0;
  virtual std::unique_ptr<PackWriter> create(const PackId& pack, NameDurable when) = 0;
  // An existing pack, to append after its first `size` bytes; what follows them is cut off. What
  // is kept is durable after flush(), also what another process wrote.
  virtual std::unique_ptr<PackWriter> take_over(const PackId& pack, uint64_t size) = 0;
  // Cuts off what follows the first `size` bytes; durable when it returns. Only where packs grow.
  virtual void truncate(const PackId& pack, uint64_t size) = 0;
};

// A hold on a name. It ends with its destruction, with its process, or at a time.
class Lease {
 public:
  virtual ~Lease() = default;
  // Cheap: asks nobody over a network.
  virtual bool is_held() const = 0;
  // Throws unavailable, with a sentence that says why, if it is no longer held.
  virtual void require_held() const = 0;
};

// None of these waits: each throws busy if another holder is in the way.
class Leases {
 public:
  virtual ~Leases() = default;

  // Held by the one process that writes to the store. Nothing may be published after it has ended.
  virtual std::unique_ptr<Lease> writer() = 0;
  // Of a blob, for those who rely on it. Throws not_found for one that is not there, or grants it:
  // so its holder looks afterwards whether the blob still exists.
  virtual std::unique_ptr<Lease> shared(const std::string& name) = 0;
  // Of a blob, to remove it.
  virtual std::unique_ptr<Lease> exclusive(const std::string& name) = 0;
};

struct NewBlob {
  std::string name;
  base::Bytes bytes;
};

class StorePlace {
 public:
  virtual ~StorePlace() = default;

  // What a person calls it, for messages: a directory, or an address.
  virtual const std::string& location() const = 0;
  // The directory of this machine for the store's index, unless the caller who opens the store
  // names another one; empty: it has to be named.
  virtual std::string index_directory() const = 0;

  // Makes the place ready for a new store and puts its first blobs in this order: with the last one
  // it is a store. Durable when it returns. Throws already_exists unless the place is empty, or
  // contains only what an interrupted create() left.
  virtual void create(std::span<const NewBlob> blobs) = 0;

  virtual BlobStore& blobs() = 0;
  virtual PackStore& packs() = 0;
  virtual Leases& leases() = 0;
};

}  // namespace images
