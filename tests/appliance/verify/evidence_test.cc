#include "appliance/verify/evidence.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace appliance::verify {
namespace {

Observation service(bool good, const std::string& check) {
  Observation seen;
  seen.signal = Signal::service;
  seen.good = good;
  seen.subject = check;
  return seen;
}

Observation line(const std::string& text, TextMeaning meaning) {
  Observation seen;
  seen.signal = Signal::serial;
  seen.detail = text;
  seen.meaning = meaning;
  return seen;
}

bool has(const Evidence& evidence, const std::string& subject, bool good) {
  return std::ranges::any_of(evidence.observations, [&](const Observation& seen) {
    return seen.subject == subject && seen.good == good;
  });
}

}  // namespace

TEST_CASE("a talkative guest pushes out nothing that decides", "[verify]") {
  Evidence evidence;
  auto chatter = [&] {
    for (int i = 0; i < 3000; ++i)
      evidence.add(line("message " + std::to_string(i), TextMeaning::other));
  };
  evidence.add(service(true, "tcp:22"));
  evidence.add(line("Kernel panic - not syncing", TextMeaning::kernel_panic));
  chatter();
  evidence.add(service(false, "tcp:22"));
  Observation trouble;
  trouble.signal = Signal::trouble;
  trouble.subject = "the export died";
  evidence.add(trouble);
  evidence.add(service(true, "http:80/"));
  chatter();
  CHECK(evidence.observations.size() <= Evidence::kMaxObservations);
  CHECK(has(evidence, "tcp:22", true));
  CHECK(has(evidence, "tcp:22", false));
  CHECK(has(evidence, "http:80/", true));
  CHECK(has(evidence, "the export died", false));
  CHECK(std::ranges::any_of(evidence.observations, [](const Observation& seen) {
    return seen.meaning == TextMeaning::kernel_panic;
  }));
  CHECK(evidence.observations.back().detail == "message 2999");
}

TEST_CASE("restarts without end do not make the evidence endless", "[verify]") {
  Evidence evidence;
  Observation reboot;
  reboot.signal = Signal::reboot;
  for (int i = 0; i < 10'000; ++i) evidence.add(reboot);
  CHECK(evidence.observations.size() <= Evidence::kMaxWithKept);
}

}  // namespace appliance::verify
