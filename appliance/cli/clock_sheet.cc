#include "appliance/cli/clock_sheet.h"

#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {

void print_clock(const nlohmann::json& clock) {
  Sheet sheet;
  sheet.add("Time", text_of(clock, "time"));
  sheet.add("Trusted", text_of(clock, "trusted"));
  sheet.add("Synchronized", text_of(clock, "synchronized"));
  if (!clock["problem"].is_null()) {
    sheet.add("Trusted time", text_of(clock, "trusted_time"));
    sheet.add("Problem", text_of(clock, "problem"));
  }
  sheet.print();
}

}  // namespace appliance::cli
