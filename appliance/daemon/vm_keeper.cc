#include "appliance/daemon/vm_keeper.h"

#include <chrono>

#include "base/error.h"
#include "base/log.h"

namespace appliance::daemon {
namespace {

constexpr std::chrono::seconds kTendEvery{1};
constexpr std::chrono::seconds kRetryEvery{3};

}  // namespace

VmKeeper::VmKeeper(boot::BootService& boots,
                   std::function<void(const boot::InstantVm&)> go_on_pulling,
                   std::function<void()> after_round)
    : boots_(boots), go_on_pulling_(std::move(go_on_pulling)), after_round_(std::move(after_round)),
      thread_("VM keeper", base::AfterFailure::begin_again,
              [this](const std::stop_token& stop) { run(stop); }) {}

bool VmKeeper::adopt() {
  try {
    boot::AdoptReport report = boots_.adopt();
    for (const boot::InstantVm& vm : report.running) {
      base::log().info("adopted the instant VM {} of {}", vm.id.hex(), vm.machine_name);
      if (vm.is_pulling) go_on_pulling_(vm);
    }
    for (const boot::InstantVm& vm : report.resting) {
      base::log().info("the writes of {} ({}) are kept", vm.id.hex(), vm.machine_name);
    }
    for (const boot::InstantVm& vm : report.interrupted) {
      base::log().info("the instant VM {} of {} was interrupted", vm.id.hex(), vm.machine_name);
    }
    for (const boot::InstantVm& vm : report.of_other_nodes) {
      base::log().warn("the instant VM {} of {} is left alone: it belongs to {}", vm.id.hex(),
                       vm.machine_name, boots_.owner_elsewhere(vm));
    }
    for (const std::string& sentence : report.cleaned) base::log().info("{}", sentence);
    for (const std::string& sentence : report.problems) base::log().warn("{}", sentence);
    return true;
  } catch (const std::exception& error) {
    log_.warn(std::string("instant VMs cannot be managed: ") + error.what());
    return false;
  }
}

void VmKeeper::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (!adopted_) {
      adopted_ = adopt();
      // adopt() has tried it, so that the first start need not wait for the trial.
      if (adopted_) base::log().info("{}", boots_.accelerator().reason);
    }
    if (adopted_) {
      for (const std::string& sentence : boots_.tend()) log_.info(sentence);
      after_round_();
    }
    log_.end_round();
    base::sleep_unless_stopped(stop, adopted_ ? kTendEvery : kRetryEvery);
  }
}

}  // namespace appliance::daemon
