#include "appliance/api/routes/page_files.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::api {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Request asking(bool accepts_gzip) {
  Request request;
  request.accepts_gzip = accepts_gzip;
  return request;
}

}  // namespace

TEST_CASE("the page serves what was in its folder at the start, and nothing else", "[page]") {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(), "muletto-page");
  std::filesystem::path folder = scratch.path();
  write(folder / "index.html", "<!doctype html>");
  write(folder / "main-1a2b.js", "script");
  write(folder / "main-1a2b.js.gz", "packed");
  write(folder / "only.js.gz", "packed");
  write(folder / ".hidden.js", "secret");
  write(folder / "with space.js", "odd");
  std::filesystem::create_directory(folder / "deeper");
  write(folder / "deeper" / "inner.js", "inner");
  std::filesystem::remove_all(folder / "deeper");
  PageFiles page(base::real_file_system(), folder.string());
  REQUIRE(page.is_installed());
  write(folder / "later.js", "later");

  Response index = page.index(asking(true));
  CHECK(index.status == 200);
  CHECK(index.content_type == "text/html; charset=utf-8");
  CHECK(index.body == "<!doctype html>");
  CHECK_FALSE(index.headers.contains("Cache-Control"));  // the server says no-store
  const std::string& policy = index.headers.at("Content-Security-Policy");
  for (const char* part :
       {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "base-uri 'none'", "form-action 'none'"})
    CHECK_THAT(policy, Catch::Contains(part));
  CHECK_THAT(policy, !Catch::Contains("unsafe"));
  CHECK(index.headers.at("X-Content-Type-Options") == "nosniff");

  Response plain = page.file(asking(false), "main-1a2b.js");
  CHECK(plain.body == "script");
  CHECK(plain.content_type == "text/javascript; charset=utf-8");
  CHECK_THAT(plain.headers.at("Cache-Control"), Catch::Contains("immutable"));
  Response packed = page.file(asking(true), "main-1a2b.js");
  CHECK(packed.body == "packed");
  CHECK(packed.headers.at("Content-Encoding") == "gzip");
  for (const char* name :
       {"index.html", "later.js", ".hidden.js", "with space.js", "only.js", "deeper",
        "../index.html", "/etc/passwd", "", "main-1a2b.js.gz", "main-1a2b.js/"}) {
    INFO(name);
    CHECK_THROWS_AS(page.file(asking(false), name), base::Error);
  }
}

TEST_CASE("a page that is not installed, or cannot be read, says so", "[page]") {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(), "muletto-page");
  PageFiles missing(base::real_file_system(), scratch.path() + "/nowhere");
  CHECK_FALSE(missing.is_installed());
  Response answer = missing.index(asking(false));
  CHECK(answer.status == 404);
  CHECK_THAT(answer.body, Catch::Contains("not installed") && Catch::Contains("nowhere"));

  write(std::filesystem::path(scratch.path()) / "index.html", "x");
  write(std::filesystem::path(scratch.path()) / "big.js",
        std::string(PageFiles::kMaxFileSize + 1, 'x'));
  PageFiles large(base::real_file_system(), scratch.path());
  CHECK_FALSE(large.is_installed());
  CHECK_THAT(large.index(asking(false)).body, Catch::Contains("cannot be read"));
}

}  // namespace appliance::api
