#include <catch2/catch.hpp>

#include "appliance/cli/api_client.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "appliance/cli/tenant_table.h"
#include "base/error.h"

namespace appliance::cli {

TEST_CASE("tables are aligned by what a terminal shows") {
  Table table({{"NAME"}, {"SIZE", Align::right}, {"X"}});
  table.add({"café", "5", "a"});
  table.add({"日本", "1234", "b"});
  CHECK(table.text() == "NAME  SIZE  X\ncafé     5  a\n日本  1234  b\n");
}

TEST_CASE("text from outside does not steer the terminal") {
  CHECK(printable("a\x1b[31mb\n\x7f\xc2\x9b") == "a?[31mb???");
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("\xe2\x82") <= 2);  // cut in the middle of a character
}

TEST_CASE("fields that are missing or null are shown as a dash") {
  nlohmann::json object{{"a", nullptr}, {"b", ""}, {"c", 5}, {"d", true}, {"e", 2048u}};
  CHECK(text_of(object, "a") == "-");
  CHECK(text_of(object, "b") == "-");
  CHECK(text_of(object, "c") == "5");
  CHECK(text_of(object, "d") == "yes");
  CHECK(text_of(object, "missing") == "-");
  CHECK(text_of(nullptr, "x") == "-");
  CHECK(size_of(object, "e") == "2.0 KiB");
}

TEST_CASE("a list of several tenants says whose each row is", "[cli]") {
  nlohmann::json rows{{{"name", "web"}, {"tenant", "a"}}, {{"name", "db"}, {"tenant", "b"}}};
  auto text = [](const nlohmann::json& list) {
    TenantTable table(list, {{"NAME"}});
    for (const nlohmann::json& row : list) table.add(row, {row["name"].get<std::string>()});
    return table.text();
  };
  CHECK(text(rows).find("TENANT") == 0);
  CHECK(text(rows).find("b       db") != std::string::npos);
  // Of one tenant it would say nothing new.
  rows.erase(1);
  CHECK(text(rows).find("TENANT") == std::string::npos);
  CHECK(text(nlohmann::json::array()).find("TENANT") == std::string::npos);
}

}  // namespace appliance::cli
