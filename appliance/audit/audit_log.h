// The audit log: who asked for what, from where, and what came of it. Entries are only appended, and
// chained (audit_chain.h). Thread-safe.
//
// A change by somebody who is known has two entries: one before it is made ("request"), so that nothing
// happens without one, and one with its outcome ("answer"). If the first cannot be written, the change
// is not made: a log with gaps proves nothing. An outcome that cannot be written is counted, and said
// in the next entry. Requests of strangers have one entry, with the outcome. Refusals are listed up to
// a number in each hour, so that a stranger cannot fill the disk; the others are counted, by an entry.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "appliance/catalog/audit_records.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::audit {

// A request, as it is noted.
struct Happening {
  std::string who;     // "user anna", "token 1a2b…", "root", "host alpha"; empty: a stranger
  std::string from;    // the peer's address; empty: the socket on this machine
  std::string what;    // "DELETE /api/v1/points/1a2b…"
  std::string tenant;  // that was named; may be empty
  nlohmann::json details = nlohmann::json::object();  // of the body, without secrets
};

struct Outcome {
  int status = 0;       // of HTTP
  std::string message;  // of an error; may be empty
  std::optional<uint64_t> job;
};

class AuditLog {
 public:
  struct Options {
    std::string appliance;            // id of the installation, in the first entry
    bool to_syslog = false;           // a copy of each entry
    std::function<void()> make_room;  // called once if the disk is full; may be empty
    uint64_t listed_per_address = 60, listed_per_hour = 600;  // refusals, each hour
  };

  // `records` and the clock outlive it. An empty log gets its first entry.
  AuditLog(catalog::AuditRecords& records, Options options,
           const base::Clock& clock = base::system_clock());

  // Returns the entry's number. Throws unavailable: nothing was written, so nothing may be changed.
  uint64_t begin(const Happening& happening);
  // The outcome of what began with that number.
  void end(uint64_t number, const Outcome& outcome) noexcept;
  // Both in one, for strangers. Refusals (401, 403, 429) are limited as above.
  void note(const Happening& happening, const Outcome& outcome) noexcept;
  // Throws unavailable while entries cannot be written: for what is noted only afterwards.
  void require_writable();
  // Writes down what was only counted, if an hour is over. To be called now and then.
  void round() noexcept;

  struct Head {
    uint64_t sequence = 0;
    base::Sha256 hash{};
  };
  Head head();
  // Why entries cannot be written; empty: they can.
  std::string problem();
  catalog::AuditRecords& records() { return records_; }

 private:
  struct State {
    Head head;
    std::string problem;
    uint64_t lost = 0;      // entries that could not be written since the last one that was
    uint64_t unlisted = 0;  // refusals that were only counted since the last entry that says so
    uint64_t hour_began_ms = 0;  // steady
    uint64_t listed = 0;
    std::map<std::string, uint64_t> listed_of;  // by address
  };
  uint64_t append(State& state, nlohmann::json entry);
  void write(State& state, const std::string& body);
  bool is_listed(State& state, const std::string& from);

  catalog::AuditRecords& records_;
  const Options options_;
  const base::Clock& clock_;
  base::Guarded<State> state_;
};

}  // namespace appliance::audit
