#include "images/sync/workspaces.h"

#include <catch2/catch.hpp>
#include <future>

namespace images {

using namespace std::chrono_literals;

TEST_CASE("the workspace used last is used next, and a level of its own is kept") {
  Workspaces workspaces(2, 10s);
  auto first = workspaces.take(1, 4096);
  auto second = workspaces.take(1, 4096);
  Workspace* last = second.get();
  workspaces.give_back(std::move(first));
  workspaces.give_back(std::move(second));
  auto again = workspaces.take(1, 4096);
  CHECK(again.get() == last);
  auto larger = workspaces.take(3, 8192);
  CHECK(larger->fits(3, 8192));
  CHECK_FALSE(larger->fits(1, 8192));
  CHECK_THROWS(Workspaces(1, 10s).take(99, 4096));
}

TEST_CASE("a worker waits for a workspace, but not for those that never come back") {
  Workspaces workspaces(1, 10s);
  auto held = workspaces.take(1, 4096);
  Workspace* mine = held.get();
  auto other = std::async(std::launch::async, [&] { return workspaces.take(1, 4096); });
  CHECK(other.wait_for(20ms) == std::future_status::timeout);
  workspaces.give_back(std::move(held));
  CHECK(other.get().get() == mine);

  // Patience is lost once, not for each unit.
  Workspaces impatient(1, 300ms);
  auto stuck = impatient.take(1, 4096);
  impatient.give_back(impatient.take(1, 4096));
  auto soon = std::async(std::launch::async, [&] { return impatient.take(1, 4096); });
  CHECK(soon.wait_for(200ms) == std::future_status::ready);
  impatient.give_back(soon.get());
  // All have come back: the limit counts again.
  impatient.give_back(std::move(stuck));
  auto last = impatient.take(1, 4096);
  auto waits = std::async(std::launch::async, [&] { return impatient.take(1, 4096); });
  CHECK(waits.wait_for(100ms) == std::future_status::timeout);
  impatient.give_back(std::move(last));
  CHECK(waits.get() != nullptr);
}

}  // namespace images
