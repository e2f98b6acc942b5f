#include "appliance/cli/store_sheet.h"

#include <fmt/format.h>

#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/text.h"

namespace appliance::cli {

void print_store_figures(const nlohmann::json& store) {
  Sheet sheet;
  sheet.add("Store", fmt::format("{} ({})", text_of(store, "directory"), text_of(store, "id")));
  sheet.add("Machines", text_of(store, "machine_count"));
  sheet.add("Points", text_of(store, "point_count"));
  sheet.add("Disks of all points", size_of(store, "logical_size"));
  sheet.add("Chunks", text_of(store, "chunk_count"));
  sheet.add("Needed", size_of(store, "live_size"));
  sheet.add("On disk",
            fmt::format("{} in {}", size_of(store, "pack_size"),
                        base::format_count(store.value("pack_count", uint64_t{0}), "pack")));
  uint64_t stored = store.value("live_size", uint64_t{0}),
           logical = store.value("logical_size", uint64_t{0});
  if (stored > 0) {
    sheet.add("Reduction", fmt::format("{:.1f} : 1",
                                       static_cast<double>(logical) / static_cast<double>(stored)));
  }
  if (store.contains("last_check")) {
    const nlohmann::json& check = store["last_check"];
    std::string found = "never; 'muletto tenant check' verifies it now";
    if (!check.is_null()) {
      auto problem_count = check.value("problem_count", uint64_t{0});
      found =
          fmt::format("{}, {}", text_of(check, "time"),
                      problem_count == 0 ? "whole" : base::format_count(problem_count, "problem"));
    }
    sheet.add("Last check", found);
  }
  sheet.print();
}

}  // namespace appliance::cli
