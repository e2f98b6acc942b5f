#include "appliance/presence/store_conditions.h"

#include <fmt/format.h>

#include "base/text.h"

namespace appliance::presence {

std::string lost_points_sentence(const stores::StoreStanding& store) {
  if (store.missing_points == 0) return "";
  return fmt::format(
      "the store of '{}' lacks {} that it had: an older copy was put back, or "
      "someone deleted them there; if that is right: muletto tenant recompute "
      "--forget",
      store.tenant, base::format_count(store.missing_points, "point"));
}

std::vector<alerts::Condition> store_conditions(const std::vector<stores::StoreStanding>& stores) {
  std::vector<alerts::Condition> found;
  for (const stores::StoreStanding& store : stores) {
    if (store.state != stores::StoreState::ready) {
      found.push_back({alerts::kStoreUnusable, store.tenant, store.tenant,
                       fmt::format("the store of '{}' is {}: {}", store.tenant,
                                   stores::store_state_name(store.state), store.problem)});
    }
    std::string lost = lost_points_sentence(store);
    if (!lost.empty()) found.push_back({alerts::kPointsMissing, store.tenant, store.tenant, lost});
  }
  return found;
}

}  // namespace appliance::presence
