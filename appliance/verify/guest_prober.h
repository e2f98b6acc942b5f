// Probes a guest repeatedly, on a thread of its own, whether its agent, its ports and the
// configured checks answer: a probe may take seconds, and the screen must be watched meanwhile.
// Thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/host/guest_watch.h"
#include "appliance/verify/evidence.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::verify {

// "agent", "tcp:22", "http:80/path", "guest:COMMAND" (a shell command in the guest, run by its
// agent; exit status 0 is good), "appliance:NAME" (the program NAME in the folder STATE/checks,
// with the guest's address in MULETTO_GUEST, run without privileges where only the guest's network
// can be reached: base/confinement.h). Throws invalid_argument for anything else.
void check_expectation(const std::string& check);

struct ProbeTarget {
  boot::BootService& boots;
  boot::GuestWatch& watch;
  boot::BootId id;
  std::string domain_name;
  bool has_network = true;
  std::string scripts_directory;    // STATE/checks
  std::vector<std::string> checks;  // those that are required; well-known ports are probed anyway
};

// A probe started before a restart says nothing about what runs after it, however late the answer.
struct TimedObservation {
  std::chrono::steady_clock::time_point asked, answered;
  Observation observation;  // without its time
};

class GuestProber {
 public:
  explicit GuestProber(ProbeTarget target);  // starts the thread
  ~GuestProber();                            // ends, within seconds

  // Answers since the last call, in the order of `answered`.
  std::vector<TimedObservation> take();

 private:
  void run(const std::stop_token& stop);
  void ask_all(const std::vector<std::string>& checks, const std::stop_token& stop);
  void ask_services(const std::vector<std::string>& checks, const boot::FoundGuest& guest);
  Observation ask_guest(const std::string& check);
  Observation ask_script(const std::string& check, const boot::FoundGuest& guest);
  void put(std::chrono::steady_clock::time_point asked, Observation seen);

  ProbeTarget target_;
  uint32_t silent_count_ = 0;  // used by the thread: rounds in which no address answered
  base::Guarded<std::vector<TimedObservation>> answers_;
  base::GuardedThread thread_;
};

}  // namespace appliance::verify
