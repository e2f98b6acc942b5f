// What of a test boot's evidence counts for its verdict: signs of life since the last restart, a
// failure that no later text contradicts, the last answer of each check. Pure functions; the pointers
// lead into the evidence, which must outlive the summary.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/verify/evidence.h"

namespace appliance::verify {

// The evidence that counts: since the last restart.
struct Summary {
  const Observation* first = nullptr;  // of the evidence, for indices
  const Observation* trouble = nullptr;
  const Observation* power_off = nullptr;
  const Observation* damage = nullptr;
  const Observation* failure = nullptr;      // a text that means failure and is not contradicted
  const Observation* screen = nullptr;       // the last one
  const Observation* serial = nullptr;       // the last one
  const Observation* waiting = nullptr;      // the start waits for a person, as far as is known
  const Observation* address = nullptr;      // the last one that answered
  const Observation* unreachable = nullptr;  // nothing answers inside the test network, and why
  std::vector<const Observation*> signs;     // the first of each kind
  std::map<std::string, const Observation*> answers;  // the last of each check
  std::map<std::string, const Observation*> volumes;
  uint32_t reboot_count = 0;
  uint64_t last_reboot_ms = 0;
};

Summary summarize(const Evidence& evidence);

// What no later text takes back: a panic, and an error of a disk, which the system may survive while
// it writes nothing any more.
bool is_final(const Observation* failure);

// Nothing if it does not answer now.
const Observation* answer_of(const Summary& summary, const std::string& check);

// Nothing can be recognised in place of the volume. A disk that was repartitioned on purpose has a
// table, and other volumes.
const Observation* loss_of(const Summary& summary, std::string_view volume);

}  // namespace appliance::verify
