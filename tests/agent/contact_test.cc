#include "agent/contact.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/state_layout.h"
#include "base/scratch_directory.h"

namespace agent {
namespace {

constexpr uint64_t kMinute = 60'000, kHour = 60 * kMinute;

struct Fixture {
  base::ScratchDirectory folder{"/tmp", "muletto-contact-test"};
  base::ManualClock clock;
  Contact open() { return Contact(folder.path(), clock); }
  std::string problem() { return contact_problem(read_contact(folder.path()), clock.wall_ms()); }
};

TEST_CASE("only 'revoked', said for hours, ends the contact") {
  Fixture host;
  Contact contact = host.open();
  uint64_t begin_ms = host.clock.steady_ms();
  uint32_t answers = 0;
  while (!contact.revoked("h", "it was revoked")) {
    ++answers;
    host.clock.pass(5 * kMinute);
  }
  CHECK(host.clock.steady_ms() - begin_ms >= 6 * kHour);
  CHECK(answers > kRevokedCount);
  CHECK(read_contact(host.folder.path())->is_over());
  CHECK(host.problem().find("was revoked") != std::string::npos);
}

TEST_CASE("a wall clock that jumps ends nothing") {
  Fixture host;
  Contact contact = host.open();
  for (uint64_t i = 1; i < 100; ++i) {
    CHECK_FALSE(contact.revoked("h", "revoked"));
    host.clock.set_wall(host.clock.wall_ms() + 365 * 24 * kHour);
  }
  CHECK(contact.record().revoked_count == 1);
}

TEST_CASE("a burst of 'revoked', and any number of other failures, end nothing") {
  Fixture host;
  Contact contact = host.open();
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(contact.revoked("h", "revoked"));
    host.clock.pass(1000);
  }
  CHECK(contact.record().revoked_count == 1);
  for (int i = 0; i < 1000; ++i) {
    contact.failed("h", "the certificate of a:1 was signed by a foreign authority");
    host.clock.pass(5 * kMinute);
  }
  CHECK(contact.record().revoked_count == 1);
}

TEST_CASE("an answer in between forgets that the host was called revoked") {
  Fixture host;
  Contact contact = host.open();
  for (uint32_t i = 0; i + 1 < kRevokedCount; ++i, host.clock.pass(kHour))
    contact.revoked("h", "revoked");
  contact.answered("h");
  CHECK(host.problem().empty());
  for (uint32_t i = 0; i + 1 < kRevokedCount; ++i, host.clock.pass(kHour))
    CHECK_FALSE(contact.revoked("h", "revoked"));
  CHECK(contact.revoked("h", "revoked"));
}

TEST_CASE("a restart keeps the count and the reason, and no restart makes it grow faster") {
  Fixture host;
  host.open().revoked("h", "revoked");
  for (int i = 0; i < 50; ++i, host.clock.pass(kMinute)) {
    Contact restarted = host.open();
    CHECK_FALSE(restarted.revoked("h", "revoked"));
    CHECK(restarted.record().revoked_count == 1);
  }
  Contact contact = host.open();
  host.clock.pass(kHour);
  contact.revoked("h", "revoked");
  CHECK(contact.record().revoked_count == 2);
  // Enrolled again, this is another host.
  contact.failed("other", "cannot connect");
  CHECK(contact.record().revoked_count == 0);
}

TEST_CASE("what keeps a host from its appliance is told with its beginning") {
  Fixture host;
  CHECK(host.problem().find("has not run yet") != std::string::npos);
  Contact contact = host.open();
  contact.answered("h");
  CHECK(host.problem().empty());
  contact.failed("h", "cannot connect to a:1");
  std::string told = host.problem();
  CHECK(told.starts_with("no contact since 2"));
  CHECK(told.find("cannot connect to a:1") != std::string::npos);
  contact.answered("h");
  uint64_t later = host.clock.wall_ms() + kContactStaleMs + 60'000;
  CHECK(contact_problem(read_contact(host.folder.path()), later).find("is not running") !=
        std::string::npos);
  // A file that is no record is as if there were none.
  std::ofstream(contact_path(host.folder.path())) << R"({"host_id": 7})";
  CHECK(!read_contact(host.folder.path()));
}

}  // namespace
}  // namespace agent
