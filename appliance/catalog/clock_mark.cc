#include "appliance/catalog/catalog.h"
#include "appliance/catalog/sqlite.h"

namespace appliance::catalog {

void Catalog::save_clock_mark(const ClockMark& mark) {
  (*database_.lock())
      ->prepare(
          "INSERT OR REPLACE INTO clock_mark(one, boot, steady_ms, wall_ms, doubted_in) "
          "VALUES (1, ?, ?, ?, ?)")
      .bind(mark.boot, mark.steady_ms, mark.wall_ms, mark.doubted_in)
      .run();
}

std::optional<ClockMark> Catalog::find_clock_mark() {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT boot, steady_ms, wall_ms, doubted_in FROM clock_mark");
  if (!statement.step()) return std::nullopt;
  return ClockMark{statement.text(0), statement.natural(1), statement.natural(2),
                   statement.text(3)};
}

}  // namespace appliance::catalog
