#include "appliance/boot/windows/windows_sentences.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/json_access.h"

namespace appliance::boot {

std::string windows_change_sentence(const nlohmann::json& change) {
  std::string key = base::clean_text(base::expect_text(change, "key", 200), 200);
  std::string value = base::clean_text(base::expect_text(change, "value", 256), 100);
  uint64_t before = base::expect_natural(change, "before");
  uint64_t after = base::expect_natural(change, "after");
  if (value != "Start")
    return fmt::format("the registry value {}\\{} was {}, is {}.", key, value, before, after);
  return fmt::format("the driver {} starts {} (Start was {}, is {}).", key,
                     after == 0 ? "with the boot loader" : "on demand", before, after);
}

}  // namespace appliance::boot
