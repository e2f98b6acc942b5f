// What muletto-windows answers, in words for a person. Functions; thread-safe.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace appliance::boot {

inline constexpr size_t kMaxWindowsChanges = 1024;

inline constexpr char kFastStartSentence[] =
    "Windows has fast startup switched on: after a shutdown it may come up with its former "
    "hardware in memory. 'powercfg /h off' in it prevents that.";

// "the driver ControlSet001\\Services\\storahci starts with the boot loader (Start was 3, is 0)."
// Throws corrupt for what is no change as prepare_hive() writes it.
std::string windows_change_sentence(const nlohmann::json& change);

}  // namespace appliance::boot
