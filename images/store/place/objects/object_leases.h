// Leases as objects that end by themselves, for object stores, which have no locks.
//
// A lease is the object leases/NAME/HOLDER.shared or .exclusive. It ends kTime_ms after it was last
// put, by the object store's clock, which is the only clock that anything here is compared on. To
// get one, its object is put first and the folder listed afterwards: of two that exclude each other
// at least one sees the other and gives up (both may; who tries again gets it). One that has ended
// is replaced, under the condition that it was not renewed meanwhile, and removed: its holder can
// never renew it again.
//
// A holder stops relying on its lease kMargin_ms before the end, so that what it began before that
// has arrived. What arrives later all the same is recognized by the writer's number: a process that
// gets the writer's lease puts writers/NUMBER, one more than the last, and each object that it puts
// carries that number. An object that was put after writers/M, by a writer with a number below M,
// came too late: see is_late(). What has the same date as writers/M counts as in time, since a writer
// that has just closed the store may have put it: clocks of object stores show seconds.
//
// Thread-safe. renew() has to be called at least every third of kTime_ms (lease_renewal.h does).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/guarded.h"
#include "images/store/place/objects/object_store.h"
#include "images/store/place/store_place.h"

namespace images {

class ObjectLeases : public Leases {
 public:
  static constexpr uint64_t kTime_ms = 60'000;
  static constexpr uint64_t kMargin_ms = 15'000;

  // `objects` must outlive it and its leases.
  explicit ObjectLeases(ObjectStore& objects);

  std::unique_ptr<Lease> writer() override;
  std::unique_ptr<Lease> shared(const std::string& name) override;
  std::unique_ptr<Lease> exclusive(const std::string& name) override;

  // Renews all leases got here that are still held. One that cannot be renewed in time is lost; a
  // failure before that is logged and left to the next call.
  void renew();

  // The number of the writer's lease that was got here and still exists. Throws unavailable if that
  // has ended; 0 if there is none.
  uint64_t require_writer() const;
  // Whether the object came after a later writer had begun. `info` is from find().
  bool is_late(const ObjectInfo& info) const;
  // Whether that is possible at all, by the date alone.
  bool may_be_late(const ObjectInfo& info) const;

 private:
  enum class Kind { shared, exclusive };
  struct Hold;
  class HeldLease;
  struct Writer {
    std::weak_ptr<Hold> hold;
    uint64_t number = 0;
    std::map<uint64_t, uint64_t> starts_ms;  // by number
  };

  std::shared_ptr<Hold> acquire(const std::string& name, Kind kind, const std::string& refusal);
  void require_no_other(const std::string& folder, const Hold& mine, const std::string& refusal);
  // Whether it can never be renewed again.
  bool end(const ObjectInfo& lease);
  void renew(Hold& hold);
  void number_writer(const std::shared_ptr<Hold>& hold);
  std::string new_holder();

  ObjectStore& objects_;
  const std::string process_;  // random: different in each process, and in each place of one
  std::mutex renewing_;        // a renewal replaces the version that the one before put
  base::Guarded<std::set<std::weak_ptr<Hold>, std::owner_less<>>> held_;
  mutable base::Guarded<Writer> writer_;
  base::Guarded<uint64_t> holder_count_{0};
};

}  // namespace images
