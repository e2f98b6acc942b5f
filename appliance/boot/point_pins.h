// Keeps the deletion of a point and the start of a boot of it apart. Code that begins to use a
// point pins it until its use is recorded (boot.json); code that deletes one claims it first. So a
// start either finds that the point is gone, or is recorded before the deletion checks.
// Thread-safe.
#pragma once

#include <map>
#include <set>

#include "base/guarded.h"
#include "images/ids.h"

namespace appliance::boot {

class PointPins {
 public:
  // Ends the pin or the claim when it is destroyed. The PointPins must outlive it.
  class Lease {
   public:
    Lease(Lease&& other) noexcept : owner_(other.owner_), point_(other.point_), kind_(other.kind_) {
      other.owner_ = nullptr;
    }
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (owner_ != nullptr) owner_->end(*this);
    }

   private:
    friend class PointPins;
    enum class Kind { pin, claim };
    Lease(PointPins& owner, const images::PointId& point, Kind kind)
        : owner_(&owner), point_(point), kind_(kind) {}
    PointPins* owner_;
    images::PointId point_;
    Kind kind_;
  };

  // Throws busy while the point is being deleted.
  Lease pin(const images::PointId& point);
  // Called before deleting it. Throws busy while it is pinned, or being deleted by another.
  Lease claim(const images::PointId& point);

 private:
  struct State {
    std::map<images::PointId, int> pins;
    std::set<images::PointId> claimed;
  };
  void end(const Lease& lease);
  base::Guarded<State> state_;
};

}  // namespace appliance::boot
