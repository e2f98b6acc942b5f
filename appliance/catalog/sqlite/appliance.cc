#include "appliance/catalog/sqlite/appliance.h"

namespace appliance::catalog::sqlite {

void SqliteApplianceRecords::save_clock_mark(const ClockMark& mark) {
  (*database_.lock())
      ->upsert("clock_mark", {"one"}, {"boot", "steady_ms", "wall_ms", "doubted_in"})
      .bind(1, mark.boot, mark.steady_ms, mark.wall_ms, mark.doubted_in)
      .run();
}

std::optional<ClockMark> SqliteApplianceRecords::find_clock_mark() {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT boot, steady_ms, wall_ms, doubted_in FROM clock_mark");
  if (!statement.step()) return std::nullopt;
  return ClockMark{statement.text(0), statement.natural(1), statement.natural(2),
                   statement.text(3)};
}

std::optional<std::string> SqliteApplianceRecords::find_fact(std::string_view name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT value FROM facts WHERE name = ?");
  statement.bind(name);
  if (!statement.step()) return std::nullopt;
  return statement.text(0);
}

void SqliteApplianceRecords::save_fact(std::string_view name, std::string_view value) {
  auto database = database_.lock();
  (*database)->upsert("facts", {"name"}, {"value"}).bind(name, value).run();
}

}  // namespace appliance::catalog::sqlite
