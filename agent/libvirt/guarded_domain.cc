#include "agent/libvirt/guarded_domain.h"

#include "agent/libvirt/leftovers.h"
#include "base/error.h"

namespace agent::libvirt {
namespace {

class GuardedDomain : public GuardedMachine {
 public:
  GuardedDomain(Domain domain, SyncPlace place)
      : domain_(std::move(domain)), place_(std::move(place)) {}
  const std::string& name() const override { return domain_.name(); }
  bool running() const override { return domain_.running(); }
  void thaw() override { domain_.thaw(); }
  void remove_leftovers() override { libvirt::remove_leftovers(domain_, place_); }

 private:
  Domain domain_;
  SyncPlace place_;
};

}  // namespace

std::vector<std::string> guard_words(const std::string& uri, const Domain& domain,
                                     const SyncPlace& place) {
  return {kGuardedDomain,     uri, domain.uuid(), place.machine_name, place.state_directory,
          place.run_directory};
}

std::unique_ptr<GuardedMachine> guarded_domain(const std::vector<std::string>& words) {
  constexpr size_t kWordCount = 6;
  if (words.size() != kWordCount)
    throw base::Error(base::ErrorCode::invalid_argument, "a guard was started with other words");
  return std::make_unique<GuardedDomain>(Connection(words[1]).domain(words[2]),
                                         SyncPlace{words[3], words[4], words[5]});
}

}  // namespace agent::libvirt
