#include "appliance/boot/model/instant_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/error.h"

namespace appliance::boot {
namespace {

template <typename Value, size_t kCount>
using Names = std::array<std::pair<Value, std::string_view>, kCount>;

constexpr Names<Purpose, 2> kPurposes{{{Purpose::instant, "instant"}, {Purpose::test, "test"}}};
constexpr Names<Accelerator, 3> kAccelerators{
    {{Accelerator::automatic, "auto"}, {Accelerator::kvm, "kvm"}, {Accelerator::tcg, "tcg"}}};
constexpr Names<DiskBus, 4> kBuses{{{DiskBus::virtio, "virtio"},
                                    {DiskBus::scsi, "scsi"},
                                    {DiskBus::sata, "sata"},
                                    {DiskBus::ide, "ide"}}};
constexpr Names<VmState, 5> kStates{{{VmState::starting, "starting"},
                                     {VmState::running, "running"},
                                     {VmState::paused, "paused"},
                                     {VmState::ended, "ended"},
                                     {VmState::kept, "kept"}}};
constexpr Names<PowerAction, 6> kActions{{{PowerAction::shutdown, "shutdown"},
                                          {PowerAction::reset, "reset"},
                                          {PowerAction::pause, "pause"},
                                          {PowerAction::resume, "resume"},
                                          {PowerAction::power_off, "power-off"},
                                          {PowerAction::power_on, "power-on"}}};
constexpr Names<RestartPolicy, 2> kRestartPolicies{
    {{RestartPolicy::automatic, "automatic"}, {RestartPolicy::wait, "wait"}}};
constexpr Names<Timeline, 2> kTimelines{
    {{Timeline::instant, "instant"}, {Timeline::production, "production"}}};
constexpr Names<NetworkMode, 4> kModes{{{NetworkMode::none, "none"},
                                        {NetworkMode::isolated, "isolated"},
                                        {NetworkMode::nat, "nat"},
                                        {NetworkMode::bridge, "bridge"}}};

template <typename Value, size_t kCount>
std::string_view name_of(const Names<Value, kCount>& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "unknown";
}

template <typename Value, size_t kCount>
Value value_of(const Names<Value, kCount>& names, std::string_view name, std::string_view what) {
  std::string all;
  for (const auto& [value, known] : names) {
    if (known == name) return value;
    all += fmt::format("{}{}", all.empty() ? "" : ", ", known);
  }
  throw base::Error(base::ErrorCode::invalid_argument,
                    fmt::format("{} is one of {}, not '{}'", what, all, name));
}

bool is_plain(unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; }

}  // namespace

std::string_view purpose_name(Purpose purpose) { return name_of(kPurposes, purpose); }
Purpose purpose_from_name(std::string_view name) { return value_of(kPurposes, name, "a purpose"); }
std::string_view accelerator_name(Accelerator accelerator) {
  return name_of(kAccelerators, accelerator);
}
Accelerator accelerator_from_name(std::string_view name) {
  return value_of(kAccelerators, name, "an accelerator");
}
std::string_view disk_bus_name(DiskBus bus) { return name_of(kBuses, bus); }
DiskBus disk_bus_from_name(std::string_view name) { return value_of(kBuses, name, "a disk bus"); }
std::string_view restart_policy_name(RestartPolicy policy) {
  return name_of(kRestartPolicies, policy);
}
RestartPolicy restart_policy_from_name(std::string_view name) {
  return value_of(kRestartPolicies, name, "a restart policy");
}
std::string_view timeline_name(Timeline timeline) { return name_of(kTimelines, timeline); }
Timeline timeline_from_name(std::string_view name) {
  return value_of(kTimelines, name, "a timeline");
}
std::string_view vm_state_name(VmState state) { return name_of(kStates, state); }
std::string_view power_action_name(PowerAction action) { return name_of(kActions, action); }
PowerAction power_action_from_name(std::string_view name) {
  return value_of(kActions, name, "a power action");
}

std::string network_choice_name(const NetworkChoice& choice) {
  std::string name(name_of(kModes, choice.mode));
  return choice.name.empty() ? name : name + ":" + choice.name;
}

NetworkChoice network_choice_from_name(std::string_view name) {
  size_t colon = name.find(':');
  NetworkChoice choice{.mode = value_of(kModes, name.substr(0, colon), "a network"), .name = {}};
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
