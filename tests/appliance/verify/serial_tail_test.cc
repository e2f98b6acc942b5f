#include "appliance/verify/serial_tail.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using appliance::verify::SerialTail;

TEST_CASE("serial tail: what was written before a restart is kept, and not interpreted") {
  SerialTail tail;
  const auto begin = SerialTail::Clock::now();
  tail.add("old login: ", begin);
  CHECK(tail.take_news() == "old login: ");
  CHECK_FALSE(tail.take_news());

  tail.restart(begin + 1s);
  CHECK(tail.take_news() == "");
  tail.add("Booting", begin + 2s);
  CHECK(tail.take_news() == "Booting");
  CHECK(tail.text() == "old login: Booting");
}

TEST_CASE("serial tail: what was read after the restart began counts as new") {
  SerialTail tail;
  const auto begin = SerialTail::Clock::now();
  tail.add("before", begin);
  tail.add("after", begin + 2s);
  tail.restart(begin + 1s);
  CHECK(tail.take_news() == "after");
}

TEST_CASE("serial tail: a log that was started anew is read from its beginning") {
  SerialTail tail;
  tail.add("0123456789", SerialTail::Clock::now());
  CHECK(tail.offset_within(12) == 10);
  CHECK(tail.offset_within(4) == 0);
  tail.add("abcd", SerialTail::Clock::now());
  CHECK(tail.offset_within(4) == 4);
  CHECK(tail.text() == "0123456789abcd");
}

TEST_CASE("serial tail: a guest that prints without end costs bounded memory") {
  SerialTail tail;
  const std::string piece(60'000, 'x');
  for (int i = 0; i < 50; ++i) tail.add(piece, SerialTail::Clock::now());
  tail.add("the end", SerialTail::Clock::now());
  CHECK(tail.text().size() <= 64 << 10);
  auto news = tail.take_news();
  REQUIRE(news);
  CHECK(news->size() <= 16 << 10);
  CHECK(news->substr(news->size() - 7) == "the end");
}
