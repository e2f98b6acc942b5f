// One-time tickets for browsers, which cannot send an operator's token with a WebSocket: created by
// an authenticated request, valid for one console of one VM, once, for some minutes. Only in
// memory: a restarted daemon knows none. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "appliance/boot/model/instant_vm.h"
#include "base/crypto.h"
#include "base/guarded.h"

namespace appliance::api {

constexpr std::chrono::minutes kTicketLifetime{5};
constexpr size_t kTicketLimit = 1024;  // beyond it the oldest is dropped

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
  // By the ticket's hash, so that the duration of a comparison does not reveal how close a guess
  // is.
  base::Guarded<std::map<base::Sha256, Ticket>> tickets_;
};

}  // namespace appliance::api
