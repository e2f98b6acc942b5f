#include "agent/config.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "base/error.h"
#include "base/scratch_directory.h"

namespace agent {
namespace {

Config parse(const std::string& text) {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = scratch.path() + "/agent.toml";
  std::ofstream(path) << text;
  return load_config(path);
}

TEST_CASE("the agent's settings are read") {
  CHECK(parse("").libvirt_uri == "qemu:///system");
  Config config = parse(R"(
    libvirt_uri = "qemu:///session"
    state_directory = "/x"
    threads = 3
    [machines."shop 1"]
    domain = "web"
    exclude_disks = ["vdb", "vdc"]
    freeze = false
  )");
  CHECK(config.libvirt_uri == "qemu:///session");
  CHECK(config.state_directory == "/x");
  CHECK(config.run_directory == "/run/muletto-agent");
  CHECK(config.thread_count == 3);
  const MachineConfig& machine = config.machines.at("shop 1");
  CHECK(machine.domain == "web");
  CHECK(machine.exclude_disks == std::vector<std::string>{"vdb", "vdc"});
  CHECK_FALSE(machine.freeze);
}

TEST_CASE("settings that had another name before are still read") {
  Config config = parse(R"(
    libvirt = "qemu:///session"
    state_dir = "/x"
    run_dir = "/y"
    tpm_dir = "/z"
  )");
  CHECK(config.libvirt_uri == "qemu:///session");
  CHECK(config.state_directory == "/x");
  CHECK(config.run_directory == "/y");
  CHECK(config.tpm_directory == "/z");
  CHECK_THROWS_WITH(parse("state_dir = '/x'\nstate_directory = '/y'"),
                    Catch::Matchers::Contains("'state_dir' is the old name of 'state_directory'"));
}

TEST_CASE("what is no setting is refused, with its line") {
  auto message = [](const std::string& text) -> std::string {
    try {
      parse(text);
    } catch (const base::Error& error) {
      CHECK(error.code() == base::ErrorCode::invalid_argument);
      return error.message();
    }
    return "accepted";
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(message("\nstatedir = '/x'"), Contains("line 2") && Contains("statedir"));
  CHECK_THAT(message("threads = 'many'"), Contains("threads"));
  CHECK_THAT(message("threads = 99"), Contains("1 to 14"));
  CHECK_THAT(message("compression = 0"), Contains("1 to 19"));
  CHECK_THAT(message("x = = 1"), Contains("line 1"));
  CHECK_THAT(message("[machines.a]\nexclude_disks = 'vda'"), Contains("list of names"));
  CHECK_THAT(message("[machines.a]\nfrees = true"), Contains("frees"));
}

TEST_CASE("a config file that was named must be there") {
  CHECK_THROWS_AS(load_config("/nonexistent/agent.toml"), base::Error);
}

}  // namespace
}  // namespace agent
