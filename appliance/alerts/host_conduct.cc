#include "appliance/alerts/host_conduct.h"

#include <fmt/format.h>

#include "base/log.h"

namespace appliance::alerts {

void HostConduct::note(const catalog::Host& host, const Misconduct& misconduct) {
  bool is_new = false;
  {
    auto records = records_.lock();
    Record& record = (*records)[host.id];
    record.tenant = host.tenant;
    record.name = host.name;
    auto [seen, added] = record.seen.try_emplace(misconduct.what);
    seen->second = {misconduct.sentence, clock_()};
    is_new = added;
  }
  if (is_new) base::log().warn("host {}: {}", host.name, misconduct.sentence);
}

std::vector<Condition> HostConduct::conditions() {
  std::vector<Condition> found;
  auto records = records_.lock();
  for (auto record = records->begin(); record != records->end();) {
    auto& seen = record->second.seen;
    std::erase_if(seen,
                  [&](const auto& each) { return clock_() - each.second.last > kRemembered; });
    if (seen.empty()) {
      record = records->erase(record);
      continue;
    }
    std::string sentences;
    for (const auto& [what, each] : seen)
      sentences += (sentences.empty() ? "" : "; ") + each.sentence;
    found.push_back(
        {kHostMisbehaves, record->second.tenant, record->second.name,
         fmt::format("some requests of the agent of '{0}' are refused: {1}. Check that host; if "
                     "it is not yours any more: muletto host revoke {0}",
                     record->second.name, sentences)});
    ++record;
  }
  return found;
}

}  // namespace appliance::alerts
