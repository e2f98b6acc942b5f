#include "appliance/boot/point_pins.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::boot {

using base::Error;
using base::ErrorCode;

PointPins::Lease PointPins::pin(const images::PointId& point) {
  auto state = state_.lock();
  if (state->claimed.contains(point)) {
    throw Error(ErrorCode::busy,
                fmt::format("the point {} is being deleted right now", point.hex()));
  }
  ++state->pins[point];
  return {*this, point, Lease::Kind::pin};
}

PointPins::Lease PointPins::claim(const images::PointId& point) {
  auto state = state_.lock();
  if (state->pins.contains(point)) {
    throw Error(ErrorCode::busy, fmt::format("an instant VM or a test boot of the point {} is "
                                             "being started; try again in a moment",
                                             point.hex()));
  }
  if (!state->claimed.insert(point).second) {
    throw Error(ErrorCode::busy, fmt::format("the point {} is already being deleted", point.hex()));
  }
  return {*this, point, Lease::Kind::claim};
}

void PointPins::end(const Lease& lease) {
  auto state = state_.lock();
  if (lease.kind_ == Lease::Kind::claim) {
    state->claimed.erase(lease.point_);
    return;
  }
  auto pinned = state->pins.find(lease.point_);
  if (--pinned->second == 0) state->pins.erase(pinned);
}

}  // namespace appliance::boot
