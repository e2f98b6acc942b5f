#include "appliance/api/console/console_tickets.h"

#include <algorithm>

namespace appliance::api {

std::string ConsoleTickets::issue(const boot::BootId& boot, Clock::time_point now) {
  std::string secret = base::to_hex(base::random_array<32>());
  auto tickets = tickets_.lock();
  std::erase_if(*tickets, [&](const auto& entry) { return entry.second.expires <= now; });
  if (tickets->size() >= kTicketLimit) {
    auto by_age = [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; };
    tickets->erase(std::min_element(tickets->begin(), tickets->end(), by_age));
  }
  (*tickets)[base::sha256(base::as_bytes(secret))] = {boot, now + kTicketLifetime};
  return secret;
}

bool ConsoleTickets::redeem(const boot::BootId& boot, const std::string& ticket,
                            Clock::time_point now) {
  auto tickets = tickets_.lock();
  auto found = tickets->find(base::sha256(base::as_bytes(ticket)));
  if (found == tickets->end() || found->second.boot != boot) return false;
  bool good = found->second.expires > now;
  tickets->erase(found);
  return good;
}

}  // namespace appliance::api
