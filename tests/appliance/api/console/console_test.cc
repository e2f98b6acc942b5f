#include <catch2/catch.hpp>
#include <numeric>

#include "appliance/api/console/console_tickets.h"
#include "appliance/api/console/vnc_login.h"

namespace appliance::api {

using namespace std::chrono_literals;

TEST_CASE("a ticket is good once, for its VM, for some minutes") {
  ConsoleTickets tickets;
  auto now = ConsoleTickets::Clock::now();
  boot::BootId one = boot::BootId::random(), other = boot::BootId::random();
  std::string ticket = tickets.issue(one, now);
  CHECK(ticket.size() == 64);
  CHECK_FALSE(tickets.redeem(other, ticket, now));
  CHECK(tickets.redeem(one, ticket, now + 4min));
  CHECK_FALSE(tickets.redeem(one, ticket, now + 4min));
  ticket = tickets.issue(one, now);
  CHECK_FALSE(tickets.redeem(one, ticket, now + 5min));
  CHECK_FALSE(tickets.redeem(one, "", now));
}

TEST_CASE("tickets are bounded: the oldest goes first") {
  ConsoleTickets tickets;
  auto now = ConsoleTickets::Clock::now();
  boot::BootId boot = boot::BootId::random();
  std::string first = tickets.issue(boot, now), last;
  for (size_t i = 0; i < kTicketLimit; ++i) last = tickets.issue(boot, now + 1s);
  CHECK_FALSE(tickets.redeem(boot, first, now + 1s));
  CHECK(tickets.redeem(boot, last, now + 1s));
}

TEST_CASE("a VNC challenge is answered with DES, its key's bits reversed") {
  std::array<uint8_t, 16> challenge;
  std::iota(challenge.begin(), challenge.end(), uint8_t{0});
  // openssl enc -des-ecb -provider legacy -nopad, the key reversed by hand.
  CHECK(base::to_hex(vnc_response(challenge, "secret78")) == "d73c5424d4bd93c67fc20e1b570be858");
  // Shorter passwords are filled with zeros, longer ones cut.
  CHECK(vnc_response(challenge, "secret78 and more") == vnc_response(challenge, "secret78"));
  CHECK(vnc_response(challenge, "") != vnc_response(challenge, "secret78"));
}

}  // namespace appliance::api
