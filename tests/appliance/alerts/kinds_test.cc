#include "appliance/alerts/kinds.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "appliance/alerts/conditions.h"

namespace appliance::alerts {

TEST_CASE("every kind of alert says what it means and what to do, also in the guide", "[alerts]") {
  std::ostringstream guide;
  guide << std::ifstream(std::string(MULETTO_TEST_DATA) + "/../docs/schedules.md").rdbuf();
  std::set<std::string_view> names;
  for (const AlertKind& kind : alert_kinds()) {
    INFO(kind.name);
    CHECK(names.insert(kind.name).second);
    CHECK_FALSE(kind.meaning.empty());
    CHECK(kind.advice.ends_with("."));
    CHECK(guide.str().find(std::string("| ") + std::string(kind.name) + " |") != std::string::npos);
  }
  CHECK(kind_of(kMachineOverdue).severity == Severity::critical);
  CHECK(kind_of("of a version to come").advice == "Read the message.");
}

}  // namespace appliance::alerts
