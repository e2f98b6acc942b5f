#include "appliance/boot/model/instant_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/enum_names.h"
#include "base/error.h"

namespace appliance::boot {
namespace {

constexpr auto kPurposes = base::enum_names<Purpose>(
    "a purpose", {{Purpose::instant, "instant"}, {Purpose::test, "test"}});
constexpr auto kAccelerators = base::enum_names<Accelerator>(
    "an accelerator",
    {{Accelerator::automatic, "auto"}, {Accelerator::kvm, "kvm"}, {Accelerator::tcg, "tcg"}});
constexpr auto kBuses = base::enum_names<DiskBus>("a disk bus", {{DiskBus::virtio, "virtio"},
                                                                 {DiskBus::scsi, "scsi"},
                                                                 {DiskBus::sata, "sata"},
                                                                 {DiskBus::ide, "ide"}});
constexpr auto kStates =
    base::enum_names<VmState>("a state of an instant VM", {{VmState::starting, "starting"},
                                                           {VmState::running, "running"},
                                                           {VmState::paused, "paused"},
                                                           {VmState::ended, "ended"},
                                                           {VmState::kept, "kept"}});
constexpr auto kActions =
    base::enum_names<PowerAction>("a power action", {{PowerAction::shutdown, "shutdown"},
                                                     {PowerAction::reset, "reset"},
                                                     {PowerAction::pause, "pause"},
                                                     {PowerAction::resume, "resume"},
                                                     {PowerAction::power_off, "power-off"},
                                                     {PowerAction::power_on, "power-on"}});
constexpr auto kWindowsPreparations = base::enum_names<WindowsPreparation>(
    "a way to prepare Windows",
    {{WindowsPreparation::automatic, "auto"}, {WindowsPreparation::none, "none"}});
constexpr auto kRestartPolicies = base::enum_names<RestartPolicy>(
    "a restart policy", {{RestartPolicy::automatic, "automatic"}, {RestartPolicy::wait, "wait"}});
constexpr auto kTimelines = base::enum_names<Timeline>(
    "a timeline", {{Timeline::instant, "instant"}, {Timeline::production, "production"}});
constexpr auto kModes =
    base::enum_names<NetworkMode>("a network", {{NetworkMode::none, "none"},
                                                {NetworkMode::isolated, "isolated"},
                                                {NetworkMode::nat, "nat"},
                                                {NetworkMode::bridge, "bridge"}});

bool is_plain(unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; }

}  // namespace

std::string_view purpose_name(Purpose purpose) { return kPurposes.name(purpose); }
Purpose purpose_from_name(std::string_view name) { return kPurposes.value(name); }
std::string_view accelerator_name(Accelerator accelerator) {
  return kAccelerators.name(accelerator);
}
Accelerator accelerator_from_name(std::string_view name) { return kAccelerators.value(name); }
std::string_view disk_bus_name(DiskBus bus) { return kBuses.name(bus); }
DiskBus disk_bus_from_name(std::string_view name) { return kBuses.value(name); }
WindowsPreparation windows_preparation_from_name(std::string_view name) {
  return kWindowsPreparations.value(name);
}
std::string_view restart_policy_name(RestartPolicy policy) { return kRestartPolicies.name(policy); }
RestartPolicy restart_policy_from_name(std::string_view name) {
  return kRestartPolicies.value(name);
}
std::string_view timeline_name(Timeline timeline) { return kTimelines.name(timeline); }
Timeline timeline_from_name(std::string_view name) { return kTimelines.value(name); }
std::string_view vm_state_name(VmState state) { return kStates.name(state); }
std::string_view power_action_name(PowerAction action) { return kActions.name(action); }
PowerAction power_action_from_name(std::string_view name) { return kActions.value(name); }

std::string network_choice_name(const NetworkChoice& choice) {
  std::string name(kModes.name(choice.mode));
  return choice.name.empty() ? name : name + ":" + choice.name;
}

NetworkChoice network_choice_from_name(std::string_view name) {
  size_t colon = name.find(':');
  NetworkChoice choice{.mode = kModes.value(name.substr(0, colon)), .name = {}};
  if (colon != std::string_view::npos) choice.name = name.substr(colon + 1);
  constexpr size_t kNameLimit = 15;  // of an interface in Linux
  bool may_have_name = choice.mode == NetworkMode::bridge || choice.mode == NetworkMode::isolated;
  bool good = colon == std::string_view::npos
                  ? choice.mode != NetworkMode::bridge
                  : may_have_name && !choice.name.empty() && choice.name.size() <= kNameLimit &&
                        std::all_of(choice.name.begin(), choice.name.end(), is_plain);
  if (!good) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' is not a network: none, isolated, isolated:NAME, nat or bridge:NAME; a "
                    "NAME has at most {} letters, digits, '-', '_' or '.'",
                    name, kNameLimit));
  }
  return choice;
}

}  // namespace appliance::boot
