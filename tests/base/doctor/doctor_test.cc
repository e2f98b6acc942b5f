#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/certificates.h"
#include "base/doctor/finding.h"
#include "base/doctor/libvirt_machines.h"
#include "base/doctor/machine.h"
#include "base/error.h"
#include "base/text.h"

namespace base::doctor {
namespace {

using Catch::Contains;

std::vector<Finding> examined(const std::vector<Check>& checks) {
  return examine(checks, std::chrono::milliseconds(200), [](const Finding&) {});
}

}  // namespace

TEST_CASE("a check that throws, says nothing or hangs is unknown, never ok") {
  auto found = examined({
      {"broken", []() -> std::vector<Finding> { throw Error(ErrorCode::io, "no such luck"); }},
      {"silent", [] { return std::vector<Finding>{}; }},
      {"endless",
       []() -> std::vector<Finding> {
         std::this_thread::sleep_for(std::chrono::seconds(2));
         return {{Outcome::ok, "endless", "fine", ""}};
       }},
      {"good",
       [] {
         return std::vector<Finding>{{Outcome::ok, "good", "fine", ""}};
       }},
  });
  REQUIRE(found.size() == 4);
  for (size_t i = 0; i < 3; ++i) CHECK(found[i].outcome == Outcome::unknown);
  CHECK_THAT(found[0].found, Contains("no such luck"));
  CHECK_THAT(found[2].found, Contains("did not end within"));
  CHECK(found[3].outcome == Outcome::ok);
  CHECK(exit_code_of(found) == 1);
  CHECK(exit_code_of({found[3]}) == 0);
  CHECK(exit_code_of({{Outcome::warn, "x", "y", ""}}) == 0);
  CHECK_FALSE(findings_json(found)["healthy"].get<bool>());
}

TEST_CASE("a finding cannot control the terminal") {
  std::string text = finding_text({Outcome::fail, "a\x1b[2J", "b\nc", "d\re"});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);  // before the remedy
}

TEST_CASE("firewall rules of nft") {
  auto judged = [](const std::string& rules) {
    return judge_nft_rules(R"({"nftables":[{"metainfo":{"version":"1.0.6"}})" + rules + "]}", 7443)
        .outcome;
  };
  std::string closed =
      R"(,{"chain":{"family":"inet","table":"f","name":"i","type":"filter","hook":"input","policy":"drop"}})";
  auto rule = [](const std::string& right, const std::string& verdict) {
    return R"(,{"rule":{"family":"inet","table":"f","chain":"i","expr":[{"match":{"op":"==","left":)"
           R"({"payload":{"protocol":"tcp","field":"dport"}},"right":)" +
           right + "}},{\"" + verdict + "\":null}]}}";
  };
  CHECK(judged("") == Outcome::ok);
  CHECK(judged(closed) == Outcome::warn);
  CHECK(judged(closed + rule("7443", "accept")) == Outcome::ok);
  CHECK(judged(closed + rule(R"({"set":[22,7443]})", "accept")) == Outcome::ok);
  CHECK(judged(closed + rule(R"({"set":[22,{"range":[7000,8000]}]})", "accept")) == Outcome::ok);
  CHECK(judged(closed + rule("7443", "drop")) == Outcome::warn);
  CHECK(judged(closed + rule("22", "accept")) == Outcome::warn);
  // What nft does not explain is not judged.
  CHECK_THROWS_AS(
      judged(closed +
             R"(,{"rule":{"family":"inet","table":"f","chain":"i","expr":[{"xt":null}]}})"),
      Error);
  CHECK_THROWS_AS(judge_nft_rules("nonsense", 7443), Error);
}

TEST_CASE("firewall rules of iptables") {
  CHECK(judge_iptables_rules("-P INPUT ACCEPT\n", 7443).outcome == Outcome::ok);
  CHECK(judge_iptables_rules("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 74 -j ACCEPT\n", 7443)
            .outcome == Outcome::warn);
  CHECK(judge_iptables_rules("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 7443 -j ACCEPT\n", 7443)
            .outcome == Outcome::ok);
  CHECK_THROWS_AS(judge_iptables_rules("", 7443), Error);
}

TEST_CASE("certificates, disks and lists are judged by what they are") {
  Credentials authority = create_authority("test", 90ull * 86'400'000);
  uint64_t end = describe_certificate(authority.certificate_pem).not_after_ms;
  auto at = [&](uint64_t now) {
    return look_at_certificate(authority.certificate_pem, "c", "renew", now).outcome;
  };
  CHECK(at(now_ms()) == Outcome::ok);
  CHECK(at(end - 1000) == Outcome::warn);
  CHECK(at(end) == Outcome::fail);

  CHECK(judge_disk_speed({200e6, 400e6, 2, true}, "/x").outcome == Outcome::ok);
  CHECK(judge_disk_speed({20e6, 400e6, 2, true}, "/x").outcome == Outcome::warn);
  CHECK(judge_disk_speed({200e6, 400e6, 80, true}, "/x").outcome == Outcome::warn);

  CHECK(paths_of_block_list(" vda   /var/lib/a disk.qcow2\n hda   -\n sda   rbd/pool\n") ==
        std::vector<std::string>{"/var/lib/a disk.qcow2"});
}

TEST_CASE("this machine can be looked at") {
  CHECK(look_at_disk_speed("/tmp").size() == 1);
  CHECK_FALSE(look_at_space("/tmp").found.empty());
  CHECK_FALSE(look_at_clock({}).empty());
  CHECK(look_at_program("no-such-program-here", "package").outcome == Outcome::fail);
  CHECK_THROWS_AS(look_at_space("/no/such/folder"), Error);
  CHECK(look_at_port("127.0.0.1", 0, "").outcome == Outcome::ok);
}

}  // namespace base::doctor
