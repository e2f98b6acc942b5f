// A store's place in an object store. Each blob is one object with the blob's name.
//
//   put         one put. With the writer's lease it carries the writer's number, and is refused
//               when the lease has ended, before and after
//   packs       do not grow: a pack is kept in memory and put, sealed, by its only flush. A commit
//               of little data makes a small pack, which compaction merges with others
//   leases      objects with an end (object_leases.h)
//   tidying     removes what came late, from a writer whose lease had ended. It asks for each
//               object that is younger than the second writer of the store: one request for each
//
// There are no folders: a list of one that does not exist is empty.
//
// The leases have to be renewed: LeaseRenewal (lease_renewal.h) does it. What is not here yet: a
// wait for readers elsewhere before compaction removes a pack that their index still names.
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "images/store/place/objects/object_leases.h"
#include "images/store/place/objects/object_store.h"
#include "images/store/place/store_place.h"

namespace images {

class ObjectPlace : public StorePlace {
 public:
  // `objects` must outlive it.
  explicit ObjectPlace(ObjectStore& objects);
  ~ObjectPlace() override;

  const std::string& location() const override { return objects_.location(); }
  std::string index_directory() const override { return ""; }
  void create(std::span<const NewBlob> blobs) override;
  BlobStore& blobs() override { return *blobs_; }
  PackStore& packs() override { return *packs_; }
  Leases& leases() override { return leases_; }

  // Renews the leases that were got here: at least every third of ObjectLeases::kTime_ms.
  void renew() { leases_.renew(); }

 private:
  ObjectStore& objects_;
  ObjectLeases leases_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<PackStore> packs_;
};

}  // namespace images
