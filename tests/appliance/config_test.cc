#include "appliance/config.h"

#include <catch2/catch.hpp>

#include "base/error.h"

namespace appliance {
namespace {

std::string problem_of(const std::string& toml) {
  try {
    parse_config(toml, "x.toml");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::invalid_argument);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("letters beyond ASCII stand in quotes and comments, and nowhere else") {
  for (const char* wrong : {"gr\xc3\xb6\xc3\x9f"
                            "e = 1",
                            "[b\xc3\xbcro]", "listen = \xc3\xa4", "listen = 'a' \xe2\x80\x83 # b",
                            "l\xd2\x8ctin li et=ns \"\n[ificaon.wat3x\"rivefi\n"}) {
    INFO(wrong);
    CHECK_THAT(problem_of(wrong), Catch::Contains("line 1: a character that is not ASCII"));
  }
  CHECK_THAT(problem_of("listen = \"127.0.0.1:0\"\nx\xc3\xa4 = 1"), Catch::Contains("line 2"));
  CHECK(parse_config("state_directory = \"/srv/b\xc3\xbcro \\\" #\" # gr\xc3\xbc\xc3\x9f"
                     "e\n"
                     "run_directory = '/run/m\xc3\xbc'",
                     "x.toml")
            .run_directory == "/run/m\xc3\xbc");
}

TEST_CASE("a full configuration is understood") {
  Config config = parse_config(R"(
listen = "127.0.0.1:0"
public_address = "muletto.example:7443"
state_directory = "/srv/muletto/"
run_directory = "/run/m2"
log_level = "debug"
[boot]
accelerator = "tcg"
[limits]
job_threads = 3
chunk_cache = "16MiB"
[tokens]
lifetime = "2h"
)",
                               "x.toml");
  CHECK(config.listen.host == "127.0.0.1");
  CHECK(config.listen.port == 0);
  CHECK(config.state_directory == "/srv/muletto");
  CHECK(config.catalog_path() == "/srv/muletto/catalog.sqlite");
  CHECK(config.accelerator == "tcg");
  CHECK(config.job_threads == 3);
  CHECK(config.chunk_cache_size == 16u << 20);
  CHECK(config.token_lifetime_ms == 7'200'000);
}

TEST_CASE("what is wrong in a configuration is named with its line") {
  CHECK(problem_of("listne = \"x\"") == "x.toml, line 1: there is no setting 'listne'");
  CHECK(problem_of("[limits]\njob_threads = \"many\"") ==
        "x.toml, line 2: limits.job_threads must be a whole number from 1 to 64");
  CHECK(problem_of("[limits]\njob_threads = 0") ==
        "x.toml, line 2: limits.job_threads must be a whole number from 1 to 64");
  CHECK(problem_of("log_level = 3") == "x.toml, line 1: log_level must be a string in quotes");
  CHECK(
      problem_of("listen = \"nowhere\"").starts_with("x.toml, line 1: 'nowhere' is not HOST:PORT"));
  CHECK(problem_of("[tokens]\nlifetime = \"soon\"")
            .starts_with("x.toml, line 2: 'soon' is not a duration"));
  CHECK(problem_of("a = [").starts_with("x.toml, line 1: "));
  CHECK(problem_of("[boot]\naccelerator = \"hax\"") ==
        "boot.accelerator must be auto, kvm or tcg, not 'hax'");
  CHECK(problem_of("run_directory = \"/" + std::string(120, 'x') + "\"").find("too long") !=
        std::string::npos);
}

TEST_CASE("the command line replaces what the file says") {
  ConfigOverrides overrides;
  overrides.listen = "[::1]:7000";
  overrides.state_directory = "/tmp/a/../b";
  overrides.run_directory = "/tmp/c";
  Config config = load_config(std::nullopt, overrides);
  CHECK(config.listen.host == "::1");
  CHECK(config.listen.text() == "[::1]:7000");
  CHECK(config.state_directory == "/tmp/b");
  CHECK_THROWS_AS(load_config("/nonexistent/mulettod.toml", {}), base::Error);
  CHECK_THROWS_AS(parse_listen_address("127.0.0.1:70000"), base::Error);
  CHECK_THROWS_AS(parse_listen_address(":7443"), base::Error);
}

}  // namespace appliance
