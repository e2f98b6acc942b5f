// One-time tickets for browsers, which cannot send an operator's token with a WebSocket: made by an
// authenticated request, good for one console of one VM, once, for some minutes. In memory alone: a
// daemon that starts anew knows none. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "appliance/boot/model/instant_vm.h"
#include "base/crypto.h"
#include "base/guarded.h"

namespace appliance::api {

constexpr std::chrono::minutes kTicketLifetime{5};
constexpr size_t kTicketLimit = 1024;  // the oldest goes first

class ConsoleTickets {
 public:
  using Clock = std::chrono::steady_clock;

  // 256 random bits, in hexadecimal.
  std::string issue(const boot::BootId& boot, Clock::time_point now = Clock::now());
  // True once for a ticket of this boot that is not too old.
  bool redeem(const boot::BootId& boot, const std::string& ticket,
              Clock::time_point now = Clock::now());

 private:
  struct Ticket {
    boot::BootId boot;
    Clock::time_point expires;
  };
  // By the ticket's hash, so that no comparison tells a guesser how near he is.
  base::Guarded<std::map<base::Sha256, Ticket>> tickets_;
};

}  // namespace appliance::api
