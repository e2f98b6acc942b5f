#include "base/json_access.h"

#include <catch2/catch.hpp>
#include <string>

#include "base/error.h"

namespace base {
namespace {

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("JSON that is too deep, too large or of too many values is not parsed") {
  CHECK(parse_json(nested(32), "the body").is_array());
  CHECK_THROWS_WITH(parse_json(nested(33), "the body"),
                    "the body is nested more than 32 levels deep");
  // What brought a whole daemon down: deep enough to end the stack of the code that writes it again.
  CHECK_THROWS_AS(parse_json(nested(500'000), "the body"), Error);
  CHECK_THROWS_AS(parse_json(std::string(500'000, '['), "the body"), Error);
  CHECK_THROWS_WITH(parse_json(R"("12345678")", "the body", {.size = 9}),
                    "the body is larger than 9 bytes");
  CHECK_THROWS_WITH(parse_json("[1,2,3,4]", "the body", {.value_count = 4}),
                    "the body has more than 4 values");
  CHECK(parse_json("[1,2,3]", "the body", {.value_count = 4}).size() == 3);
  // Brackets in strings are text, also after an escaped quote.
  CHECK(parse_json(R"(["\"[[[[", "]]{{\\"])", "the body", {.depth = 1}).size() == 2);
  CHECK_FALSE(find_json(nested(33)).has_value());
}

TEST_CASE("what is not JSON is refused with a sentence") {
  for (const char* text : {"", "{", "[1,]", "nonsense", "\"\xff\"", "[]]", "{\"a\" 1}"}) {
    CHECK_THROWS_WITH(parse_json(text, "the body"), "the body is not JSON");
    CHECK_FALSE(find_json(text).has_value());
  }
}

TEST_CASE("fields of other types are absences or sentences, never exceptions of the library") {
  nlohmann::json value = parse_json(
      R"({"text": "a", "number": 7, "below": -7, "huge": 18446744073709551615, "part": 1.5,
          "flag": true, "list": [1], "none": null, "object": {"name": 5}})",
      "the body");
  CHECK(find_text(value, "text") == "a");
  CHECK(find_natural(value, "number") == 7u);
  CHECK(find_natural(value, "huge") == 18446744073709551615u);
  CHECK(find_integer(value, "below") == -7);
  CHECK(find_flag(value, "flag") == true);
  CHECK(find_list(value, "list").size() == 1);
  for (const char* name : {"number", "flag", "list", "none", "object", "missing"})
    CHECK_FALSE(find_text(value, name).has_value());
  for (const char* name : {"text", "below", "part", "flag", "none", "missing"})
    CHECK_FALSE(find_natural(value, name).has_value());
  CHECK_FALSE(find_integer(value, "huge").has_value());
  CHECK_FALSE(find_flag(value, "number").has_value());
  CHECK(find_list(value, "object").empty());
  CHECK(find_list(value, "missing").empty());
  // Fields of what is no object.
  for (const char* text : {"[]", "5", "\"x\"", "null"}) {
    CHECK(find_field(parse_json(text, "it"), "name") == nullptr);
    CHECK_FALSE(find_text(parse_json(text, "it"), "name").has_value());
  }
  CHECK(expect_text(value, "text", 1) == "a");
  CHECK_THROWS_WITH(expect_text(value, "number", 9), Catch::Contains("'number'"));
  CHECK_THROWS_WITH(expect_text(parse_json(R"({"text": "ab"})", "it"), "text", 1),
                    Catch::Contains("'text' is longer than 1 byte"));
  CHECK_THROWS_WITH(expect_natural(value, "below"), Catch::Contains("'below'"));
  CHECK_THROWS_WITH(expect_flag(value, "text"), Catch::Contains("'text'"));
  CHECK_THROWS_WITH(expect_list(value, "text", 9), Catch::Contains("'text'"));
  CHECK_THROWS_WITH(expect_list(value, "list", 0), Catch::Contains("more than 0 entries"));
}

TEST_CASE("text that is not UTF-8 is written with replacements") {
  CHECK(dump_text({{"arch", "x\xed\xa0\x80y"}}).find("\xEF\xBF\xBD") != std::string::npos);
  CHECK(dump_text({{"a", 1}}, 2) == "{\n  \"a\": 1\n}");
}

}  // namespace base
