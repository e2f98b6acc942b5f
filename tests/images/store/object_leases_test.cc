// Leases of an object store, whose clock the test moves.
#include <catch2/catch.hpp>

#include <functional>
#include <thread>

#include "base/error.h"
#include "images/store/place/objects/lease_renewal.h"
#include "images/store/place/objects/memory_object_store.h"
#include "images/store/place/objects/object_place.h"

namespace images {
namespace {

constexpr uint64_t kTime_ms = ObjectLeases::kTime_ms;

base::ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return base::ErrorCode::io;
}

}  // namespace

TEST_CASE("a lease ends by itself, and only then another takes its place", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace first(objects), second(objects);
  auto lease = first.leases().writer();
  objects.advance(kTime_ms - ObjectLeases::kMargin_ms);
  // Its holder stops before others may begin.
  CHECK_FALSE(lease->is_held());
  CHECK(code_of([&] { lease->require_held(); }) == base::ErrorCode::unavailable);
  CHECK(code_of([&] { second.leases().writer(); }) == base::ErrorCode::busy);
  objects.advance(ObjectLeases::kMargin_ms);
  auto next = second.leases().writer();
  CHECK(next->is_held());
  first.renew();  // too late
  CHECK_FALSE(lease->is_held());
  CHECK(next->is_held());
  lease.reset();
  CHECK(next->is_held());
  CHECK(code_of([&] { first.leases().writer(); }) == base::ErrorCode::busy);
}

TEST_CASE("a lease that is renewed in time does not end", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace first(objects), second(objects);
  auto lease = first.leases().writer();
  auto shared = first.leases().shared("points/a/b.point");
  for (int i = 0; i < 10; ++i) {
    objects.advance(kTime_ms / 3);
    first.renew();
    CHECK(lease->is_held());
    CHECK(shared->is_held());
    CHECK(code_of([&] { second.leases().writer(); }) == base::ErrorCode::busy);
  }
}

TEST_CASE("a thread renews the leases of a place", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace place(objects);
  auto lease = place.leases().writer();
  uint64_t begin_ms = objects.now_ms();
  auto renewed_ms = [&] {
    for (const ObjectInfo& each : objects.list("leases/writer/", "").objects)
      return each.modified_ms;
    return uint64_t{0};
  };
  REQUIRE(renewed_ms() == begin_ms);
  objects.advance(kTime_ms / 3);
  {
    LeaseRenewal renewal(place, std::chrono::milliseconds(1));
    while (renewed_ms() == begin_ms) std::this_thread::yield();
    // Once more, after the first time.
    objects.advance(kTime_ms / 3);
    while (renewed_ms() <= begin_ms + kTime_ms / 3) std::this_thread::yield();
    CHECK(lease->is_held());
  }
  // Nobody renews it any more.
  objects.advance(kTime_ms);
  CHECK_FALSE(lease->is_held());
}

TEST_CASE("a renewal that fails is repeated, one that is overtaken is not", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace first(objects), second(objects);
  auto lease = first.leases().writer();
  objects.advance(kTime_ms / 3);
  objects.before_each_put([](const std::string&) {
    throw base::Error(base::ErrorCode::unavailable, "the network is down");
  });
  CHECK_NOTHROW(first.renew());
  CHECK(lease->is_held());
  objects.before_each_put(nullptr);
  first.renew();
  objects.advance(kTime_ms / 2);
  CHECK(lease->is_held());

  // The renewal leaves in time, and arrives after another has taken the lease.
  std::unique_ptr<Lease> next;
  objects.before_each_put([&](const std::string&) {
    objects.before_each_put(nullptr);
    objects.advance(kTime_ms);
    next = second.leases().writer();
  });
  first.renew();
  REQUIRE(next != nullptr);
  CHECK(next->is_held());
  CHECK_FALSE(lease->is_held());
}

TEST_CASE("a writer that slept past the end of its lease puts and removes nothing", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace first(objects), second(objects);
  auto lease = first.leases().writer();
  first.blobs().put("points/a/1.point", base::as_bytes("one"));
  objects.advance(kTime_ms);
  auto put = [&] { first.blobs().put("points/a/2.point", base::as_bytes("two")); };
  CHECK(code_of(put) == base::ErrorCode::unavailable);
  CHECK(code_of([&] { first.blobs().remove("points/a/1.point"); }) == base::ErrorCode::unavailable);
  CHECK(second.blobs().list("points/a") == std::vector<std::string>{"1.point"});

  // It sleeps between its last look and the arrival of the put, and another writer begins.
  lease = first.leases().writer();
  std::unique_ptr<Lease> next;
  objects.before_each_put([&](const std::string&) {
    objects.before_each_put(nullptr);
    objects.advance(kTime_ms);
    next = second.leases().writer();
    objects.advance(1);
  });
  CHECK(code_of(put) == base::ErrorCode::unavailable);
  CHECK(second.blobs().list("points/a").size() == 2);
  // The next writer sees that it came too late, and that the first did not.
  second.blobs().put("points/a/3.point", base::as_bytes("three"));
  CHECK(second.blobs().list_tidied("points/a") == std::vector<std::string>{"1.point", "3.point"});
  CHECK(second.blobs().list("points/a").size() == 2);
}

TEST_CASE("of two that want the same lease at the same moment at most one gets it", "[store]") {
  MemoryObjectStore objects;
  ObjectPlace first(objects), second(objects);
  std::unique_ptr<Lease> other;
  objects.before_each_put([&](const std::string&) {
    objects.before_each_put(nullptr);
    other = second.leases().exclusive("points/a/b.point");
  });
  CHECK(code_of([&] { first.leases().exclusive("points/a/b.point"); }) == base::ErrorCode::busy);
  CHECK(other->is_held());
}

}  // namespace images
