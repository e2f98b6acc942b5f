// The verdict on recorded evidence, and the reading of consoles.
#include "appliance/verify/verdict.h"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "appliance/verify/console_text.h"
#include "appliance/verify/picture.h"
#include "appliance/verify/screen_reader.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "tests/skip.h"

namespace appliance::verify {
namespace {

Observation text(uint64_t at_ms, TextMeaning meaning, Signal signal = Signal::screen) {
  return {.at_ms = at_ms, .signal = signal, .detail = "the line", .meaning = meaning};
}
Observation good(uint64_t at_ms, Signal signal, std::string subject) {
  return {.at_ms = at_ms, .signal = signal, .good = true, .subject = std::move(subject)};
}
Observation bad(uint64_t at_ms, Signal signal, std::string subject) {
  return {.at_ms = at_ms, .signal = signal, .subject = std::move(subject), .detail = "refused"};
}

Evidence evidence_of(std::vector<Observation> observations) {
  Evidence evidence;
  for (Observation& each : observations) {
    evidence.last_change_ms = evidence.last_read_ms = evidence.last_news_ms = each.at_ms;
    evidence.add(std::move(each));
  }
  return evidence;
}

const VerdictLimits kLimits;

// Judged every 100 ms, as a test boot is: the first verdict and when it came.
std::pair<Verdict, uint64_t> first_verdict(const Evidence& whole,
                                           const std::vector<Expectation>& expected) {
  for (uint64_t now = 0; now <= kLimits.total_ms; now += 100) {
    Evidence until;
    for (const Observation& each : whole.observations) {
      if (each.at_ms > now) break;
      until.last_change_ms = until.last_read_ms = until.last_news_ms = each.at_ms;
      until.add(each);
    }
    if (auto verdict = judge(until, expected, kLimits, now)) return {*verdict, now};
  }
  FAIL("no verdict at all");
  return {};
}

}  // namespace

TEST_CASE("a verdict comes within 5 s of the decisive signal", "[verify]") {
  struct Case {
    const char* name;
    Evidence evidence;
    std::vector<Expectation> expected;
    VerdictKind kind;
    uint64_t decisive_ms;
  };
  std::vector<Case> cases{
      {"a login prompt",
       evidence_of({text(1000, TextMeaning::booting), text(9000, TextMeaning::login)}),
       {},
       VerdictKind::pass,
       9000},
      {"a login prompt on serial alone",
       evidence_of({text(9000, TextMeaning::login, Signal::serial)}),
       {},
       VerdictKind::pass,
       9000},
      {"a service that was asked for",
       evidence_of({text(9000, TextMeaning::login), good(25000, Signal::service, "http:80/")}),
       {{"http:80/"}},
       VerdictKind::pass,
       25000},
      {"a panic",
       evidence_of({text(4000, TextMeaning::kernel_panic, Signal::serial)}),
       {},
       VerdictKind::fail,
       4000},
      {"nothing to boot from",
       evidence_of({text(2000, TextMeaning::no_system)}),
       {},
       VerdictKind::fail,
       2000},
      {"a damaged file system",
       evidence_of({bad(3000, Signal::file_system, "vda at 1 MiB")}),
       {},
       VerdictKind::fail,
       3000},
      {"three restarts",
       evidence_of({bad(4000, Signal::reboot, ""), bad(8000, Signal::reboot, ""),
                    bad(12000, Signal::reboot, "")}),
       {},
       VerdictKind::fail,
       12000},
      {"one restart, then a login",
       evidence_of({bad(4000, Signal::reboot, ""), text(9000, TextMeaning::login)}),
       {},
       VerdictKind::pass,
       9000},
      {"powered itself off",
       evidence_of({bad(6000, Signal::power_off, "")}),
       {},
       VerdictKind::fail,
       6000},
      {"the appliance's own trouble",
       evidence_of({bad(100, Signal::trouble, "")}),
       {},
       VerdictKind::inconclusive,
       100},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    auto [verdict, when] = first_verdict(each.evidence, each.expected);
    CHECK(verdict.kind == each.kind);
    CHECK(when >= each.decisive_ms);
    CHECK(when <= each.decisive_ms + 5000);
    CHECK_FALSE(verdict.reasons.empty());
  }
}

TEST_CASE("a service that is silent while the system is up fails only a machine that owes it",
          "[verify]") {
  Evidence evidence =
      evidence_of({text(9000, TextMeaning::login), bad(9500, Signal::service, "http:80/")});
  CHECK(first_verdict(evidence, {}).first.kind == VerdictKind::pass);
  auto [verdict, when] = first_verdict(evidence, {{"http:80/", true}});
  CHECK(verdict.kind == VerdictKind::fail);
  CHECK(verdict.reasons.front().find("http:80/") != std::string::npos);
  CHECK(verdict.reasons.front().find("earlier") != std::string::npos);
  CHECK(when <= 9500 + kLimits.idle_grace_ms + 5000);
}

TEST_CASE("a volume that was there and cannot be recognised any more is a fail", "[verify]") {
  Observation data = good(1000, Signal::volume, "vdb1"), lost = bad(1000, Signal::volume, "vdb1");
  Observation up = text(9000, TextMeaning::login);
  std::vector<Expectation> known{{"volume:vda1", true}, {"volume:vdb1", true}};
  CHECK(good_checks(evidence_of({data, up})) == std::vector<std::string>{"volume:vdb1"});
  CHECK(good_checks(evidence_of({lost, up})).empty());
  CHECK(first_verdict(evidence_of({data, up}), known).first.kind == VerdictKind::pass);
  CHECK(first_verdict(evidence_of({lost, up}), {}).first.kind == VerdictKind::pass);
  auto [verdict, when] = first_verdict(evidence_of({lost, up}), known);
  CHECK(verdict.kind == VerdictKind::fail);
  CHECK(verdict.reasons.front().find("vdb1 holds nothing") == 0);
  CHECK(when <= 6000);
  // The table of partitions went with it. Another disk is not meant.
  auto blank = [&](const char* disk) { return evidence_of({bad(1000, Signal::volume, disk), up}); };
  CHECK(first_verdict(blank("vdb"), known).first.kind == VerdictKind::fail);
  CHECK(first_verdict(blank("vd"), known).first.kind == VerdictKind::pass);
  CHECK(first_verdict(blank("vdc"), known).first.kind == VerdictKind::pass);
  // Nobody could look: that is said, and is no failure.
  auto skipped = evidence_of({bad(1000, Signal::file_system_skipped, "vdb"), up});
  CHECK(first_verdict(skipped, known).first.kind == VerdictKind::pass);
}

TEST_CASE("no guest agent is no failure; one that was demanded is", "[verify]") {
  Evidence evidence = evidence_of({text(9000, TextMeaning::login)});
  CHECK(first_verdict(evidence, {}).first.kind == VerdictKind::pass);
  CHECK(first_verdict(evidence, {{"agent"}}).first.kind == VerdictKind::fail);
}

TEST_CASE("what was seen before a restart does not count", "[verify]") {
  Evidence evidence = evidence_of({text(9000, TextMeaning::login), bad(9500, Signal::reboot, ""),
                                   text(14000, TextMeaning::kernel_panic)});
  CHECK(first_verdict(evidence, {}).first.kind == VerdictKind::fail);
  CHECK(good_checks(evidence_of({good(1, Signal::agent, "agent"), bad(2, Signal::reboot, "")}))
            .empty());
}

TEST_CASE("what answered and then does no longer is no sign of life", "[verify]") {
  std::vector<Observation> seen{good(9000, Signal::service, "http:80/"),
                                bad(10000, Signal::service, "http:80/")};
  CHECK_FALSE(judge(evidence_of(seen), {}, kLimits, 12000).has_value());
  // A service that is demanded has to answer in the end, not once.
  seen.push_back(text(10500, TextMeaning::login));
  CHECK(judge(evidence_of(seen), {}, kLimits, 13500)->kind == VerdictKind::pass);
  CHECK_FALSE(judge(evidence_of(seen), {{"http:80/"}}, kLimits, 13500).has_value());
  CHECK(first_verdict(evidence_of(seen), {{"http:80/"}}).first.kind == VerdictKind::fail);
  seen.push_back(good(14000, Signal::service, "http:80/"));
  auto verdict = judge(evidence_of(seen), {{"http:80/"}}, kLimits, 14000);
  REQUIRE(verdict.has_value());
  CHECK(verdict->kind == VerdictKind::pass);
  CHECK(verdict->service_ms == 14000);
}

TEST_CASE("a firmware's failed first try is taken back by the next one", "[verify]") {
  Evidence evidence =
      evidence_of({text(1000, TextMeaning::no_system), text(2500, TextMeaning::booting),
                   text(8000, TextMeaning::login)});
  CHECK(first_verdict(evidence, {}).first.kind == VerdictKind::pass);
}

TEST_CASE("a screen that cannot be read is inconclusive, a start that hangs is a fail",
          "[verify]") {
  CHECK(first_verdict(evidence_of({text(2000, TextMeaning::nothing)}), {}).first.kind ==
        VerdictKind::inconclusive);
  CHECK(first_verdict(evidence_of({text(2000, TextMeaning::other)}), {}).first.kind ==
        VerdictKind::inconclusive);
  CHECK(first_verdict(evidence_of({text(2000, TextMeaning::booting)}), {}).first.kind ==
        VerdictKind::fail);
}

TEST_CASE("a panic that a busy appliance causes says nothing about the machine", "[verify]") {
  Observation panic = text(900, TextMeaning::kernel_panic, Signal::serial);
  panic.detail = "Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
  Verdict verdict = first_verdict(evidence_of({panic}), {}).first;
  CHECK(verdict.kind == VerdictKind::inconclusive);
  CHECK_THAT(verdict.reasons.at(0), Catch::Contains("processor time"));
  Observation hangs = text(900, TextMeaning::booting, Signal::serial);
  hangs.detail = "[    0.020000] ..MP-BIOS bug: 8254 timer not connected to IO-APIC";
  verdict = first_verdict(evidence_of({hangs}), {}).first;
  CHECK(verdict.kind == VerdictKind::inconclusive);
  CHECK_THAT(verdict.reasons.at(0), Catch::Contains("processor time"));
}

TEST_CASE("a machine on the network that waits for a disk is given the time to say so",
          "[verify]") {
  std::vector<Observation> seen{text(2000, TextMeaning::booting),
                                good(26000, Signal::address, "192.168.1.9")};
  CHECK_FALSE(judge(evidence_of(seen), {}, kLimits, 110'000).has_value());
  CHECK(judge(evidence_of(seen), {}, kLimits, 130'000)->kind == VerdictKind::inconclusive);
  seen.push_back(text(115'000, TextMeaning::emergency));
  CHECK(first_verdict(evidence_of(seen), {}).first.kind == VerdictKind::fail);
}

TEST_CASE("consoles are read as a person reads them", "[verify]") {
  using enum TextMeaning;
  std::vector<std::pair<const char*, TextMeaning>> samples{
      {"Debian GNU/Linux 12 web tty1\n\nweb login: _", login},
      {"web 1ogin:", login},  // as recognition may give it
      {"Last login: Mon Nov 23\nweb ~ %", other},
      {"Last login: Mon Nov 23\nroot@web:~#", login},
      {"[root@web ~]# _", login},
      {"root@(none):/#", other},
      {"web login: [   12.345678] random: crng init done", login},
      {"web login: C[ 31.46021171] \xe2\x82\xac"
       "16000 0000:00:03.0 ethO: link is up",
       login},  // read so
      {"web login: \n[   12.345678] e1000: eth0 link is up", login},
      {"Debian GNU/Linux 12 web tty1\n\nweb Anmelden: ", login},
      {"web gebruikersnaam: _", login},
      {"Dr\xc3\xbc"
       "cken Sie Strg+Alt+Entf, um sich anzumelden.",
       login},
      {"BOOTMGR is missing\nPress Ctrl+Alt+Del to restart", boot_loader},
      {"BOOTMGR fehlt\nNeustart mit Strg+Alt+Entf", boot_loader},
      {" 0) Logout\n 1) Assign Interfaces\n\nEnter an option: ", login},
      {"Please press Enter to activate this console.", login},
      {"Booting from Hard Disk...\nPlease unlock disk vda2_crypt: ", passphrase},
      {"Booting from Hard Disk...\nsome words of a system", other},
      {"[    0.100000] Linux version 6.1\n[    1.200000] virtio_blk virtio2: [vda] 20480", booting},
      {"Inode 12 has zero dtime.  Fix<y>? ", question},
      {"GNU GRUB  version 2.06\n*Debian\n Memory test (memtest86+x64.bin)\nUse the ^ and v keys to "
       "select which entry is highlighted.\nThe highlighted entry will be executed automatically "
       "in 5s.",
       booting},
      {"GNU GRUB  version 2.06\n*Debian\nUse the ^ and v keys to select which entry is "
       "highlighted.\n"
       "Press enter to boot the selected OS",
       question},
      {"Memtest86+ v6.10 | Intel", other_system},
      {"QEMU Virtual CPU version 2.5+\n\nCLK/Temp: 2302MHz Pass 5% wt\n\nL1 Cachi 64KB 6.9 GBvs | "
       "Test",
       other_system},
      {"Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device.",
       no_system},
      {"Booting from DVD/CD...\nBoot failed: Could not read from CDROM\nBooting from Hard Disk...",
       booting},
      {"error: no such device: 1234.\nEntering rescue mode...\ngrub rescue> ", boot_loader},
      {"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\n[ 1.3] ---[ end",
       kernel_panic},
      {"BusyBox v1.35\n(initramfs) _", no_root},
      {"Cinitramfs) _", no_root},
      {"grub rescue) _", boot_loader},
      {"grub) _", boot_loader},
      {"Unpacking initramfs...", other},
      {"You are in emergency mode. After logging in\nGive root password for maintenance\n(or press "
       "Control-D to continue):",
       emergency},
      {"Your PC ran into a problem and needs to restart.", blue_screen},
      {"\x1b[2J\x1b[1;1Hweb \x1b[32mlogin\x1b[0m: ", login},
      {" . ,", nothing},
      {"", nothing},
  };
  for (const auto& [sample, meaning] : samples) {
    INFO(sample);
    CHECK(read_console(sample).meaning == meaning);
  }
  CHECK(plain_text("a\xff\x01z") == "a?z");
}

TEST_CASE("what the kernel and the system say of trouble is found wherever it stands", "[verify]") {
  TextReading reading = read_console(
      "[    9.1] EXT4-fs error (device dm-0): ext4_lookup:1855: inode #12: comm sh: iget\n"
      "[    9.2] EXT4-fs (dm-0): Remounting filesystem read-only\n"
      "[FAILED] Failed to start mariadb.service - MariaDB.\nweb login: ");
  CHECK(reading.meaning == TextMeaning::login);
  CHECK_THAT(reading.disk_error, Catch::Contains("ext4_lookup"));
  REQUIRE(reading.complaints.size() == 1);
  CHECK_THAT(reading.complaints[0], Catch::Contains("mariadb"));
  CHECK(read_console("blk_update_request: I/O error, dev fd0, sector 0").disk_error.empty());
  CHECK_FALSE(read_console("blk_update_request: I/O error, dev vda, sector 0").disk_error.empty());
  CHECK(read_console("[  OK  ] Reached target Local File Systems.").disk_error.empty());
  CHECK(without_clock("12:59:01 up") == without_clock(" 1:00:02 up"));
}

TEST_CASE("an error of a disk fails a system that asks for a user", "[verify]") {
  Evidence evidence =
      evidence_of({text(8000, TextMeaning::disk_error), text(8100, TextMeaning::login),
                   good(9000, Signal::service, "tcp:22")});
  auto [verdict, when] = first_verdict(evidence, {});
  CHECK(verdict.kind == VerdictKind::fail);
  CHECK_THAT(verdict.reasons.at(0), Catch::Contains("errors of a file system or a disk"));
  CHECK(when <= 8100);
}

TEST_CASE("a complaint is told and fails nothing", "[verify]") {
  Evidence evidence = evidence_of(
      {{.at_ms = 8000, .signal = Signal::complaint, .detail = "[FAILED] Failed to start x."},
       text(9000, TextMeaning::login)});
  Verdict verdict = first_verdict(evidence, {}).first;
  CHECK(verdict.kind == VerdictKind::pass);
  CHECK_THAT(verdict.reasons.back(), Catch::Contains("Failed to start x"));
}

TEST_CASE("a start that waits for a person is inconclusive within a minute", "[verify]") {
  for (Signal signal : {Signal::screen, Signal::serial}) {
    Evidence evidence = evidence_of(
        {text(1000, TextMeaning::booting), text(9000, TextMeaning::passphrase, signal)});
    auto [verdict, when] = first_verdict(evidence, {});
    CHECK(verdict.kind == VerdictKind::inconclusive);
    CHECK_THAT(verdict.reasons.at(0), Catch::Contains("passphrase"));
    CHECK(when <= 9000 + 60'000);
  }
  // Between two drawings the screen is empty.
  Evidence flickers =
      evidence_of({text(9000, TextMeaning::passphrase), text(20'000, TextMeaning::nothing),
                   text(20'100, TextMeaning::passphrase)});
  CHECK(first_verdict(flickers, {}).second <= 9000 + 35'000);
  // Somebody, or something, answered.
  CHECK(
      first_verdict(
          evidence_of({text(9000, TextMeaning::passphrase), text(20'000, TextMeaning::login)}), {})
          .first.kind == VerdictKind::pass);
}

TEST_CASE("unknown words on the serial console are no hanging start", "[verify]") {
  auto verdict = first_verdict(evidence_of({text(1000, TextMeaning::booting),
                                            text(9000, TextMeaning::other, Signal::serial)}),
                               {})
                     .first;
  CHECK(verdict.kind == VerdictKind::inconclusive);
  CHECK(first_verdict(evidence_of({text(1000, TextMeaning::booting),
                                   text(9000, TextMeaning::booting, Signal::serial)}),
                      {})
            .first.kind == VerdictKind::fail);
}

TEST_CASE("the UEFI shell is given the time to run a script", "[verify]") {
  Observation shell = text(3000, TextMeaning::no_system);
  shell.detail = "UEFI Interactive Shell v2.2";
  CHECK(first_verdict(evidence_of({shell, text(12'000, TextMeaning::booting),
                                   text(20'000, TextMeaning::login)}),
                      {})
            .first.kind == VerdictKind::pass);
  auto [verdict, when] = first_verdict(evidence_of({shell}), {});
  CHECK(verdict.kind == VerdictKind::fail);
  CHECK(when <= *verdict.decisive_ms + 5000);
}

TEST_CASE("pictures: PPM in, PNG out and in again, cut ones refused", "[verify]") {
  std::string head = "P6\n40 40\n255\n";
  base::Bytes ppm(head.begin(), head.end());
  for (int i = 0; i < 40 * 40 * 3; ++i) ppm.push_back(static_cast<uint8_t>(i % 251));
  Picture picture = decode_picture("image/x-portable-pixmap", ppm);
  CHECK(picture.width == 40);
  Picture again = decode_picture("image/png", encode_png(picture));
  CHECK(again.rgb == picture.rgb);
  CHECK_FALSE(is_different(picture, again));
  ppm.pop_back();
  CHECK_THROWS(decode_picture("image/x-portable-pixmap", ppm));
  CHECK_THROWS(decode_picture("image/png", ppm));
  Picture black{.width = 40, .height = 40, .rgb = base::Bytes(40 * 40 * 3)};
  CHECK(is_blank(black));
  CHECK_FALSE(is_blank(picture));
}

TEST_CASE("a chatty guest does not push the decisive evidence out", "[verify]") {
  Evidence evidence;
  evidence.add(good(10, Signal::service, "http:80/"));
  for (uint64_t i = 0; i < 1500; ++i) {
    evidence.add({.at_ms = 20 + i,
                  .signal = Signal::screen,
                  .detail = std::to_string(i),
                  .meaning = i % 2 == 0 ? TextMeaning::booting : TextMeaning::other});
    evidence.add({.at_ms = 20 + i,
                  .signal = Signal::address,
                  .good = true,
                  .subject = "10.0.0." + std::to_string(i)});
    evidence.add(i % 2 == 0 ? bad(20 + i, Signal::service, "http:80/")
                            : good(20 + i, Signal::service, "http:80/"));
  }
  evidence.add(bad(6000, Signal::service, "http:80/"));
  evidence.add(text(6001, TextMeaning::kernel_panic));
  evidence.add({.at_ms = 6002, .signal = Signal::trouble, .detail = "It cannot be watched."});
  CHECK(evidence.observations.size() <= Evidence::kMaxObservations + 1);
  CHECK(evidence.observations.front().subject == "http:80/");
  CHECK(evidence.observations.front().at_ms == 10);
  auto last_service =
      std::find_if(evidence.observations.rbegin(), evidence.observations.rend(),
                   [](const Observation& each) { return each.signal == Signal::service; });
  CHECK_FALSE(last_service->good);
  auto verdict = judge(evidence, {}, kLimits, 6100);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::inconclusive);
  evidence.observations.pop_back();
  CHECK(judge(evidence, {}, kLimits, 6100)->kind == VerdictKind::fail);
}

TEST_CASE("what cannot be reached inside the test network is said so", "[verify]") {
  Observation silent{.at_ms = 9000,
                     .signal = Signal::address,
                     .subject = "10.0.0.5",
                     .detail = "not reachable inside the test network"};
  std::vector<Expectation> expected{{"http:80/", false}};
  Evidence evidence = evidence_of({good(8000, Signal::agent, "agent"), silent});
  auto verdict = judge(evidence, expected, kLimits, 100'000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::fail);
  CHECK(verdict->reasons.at(1) ==
        "The guest's address 10.0.0.5 is not reachable inside the test network.");
  // That the appliance itself could not ask is nothing against the machine.
  silent.subject.clear();
  silent.detail = "ip failed";
  evidence = evidence_of({good(8000, Signal::agent, "agent"), silent});
  CHECK(judge(evidence, expected, kLimits, 100'000)->kind == VerdictKind::inconclusive);
  evidence.add(good(9500, Signal::address, "10.0.0.5"));
  CHECK(judge(evidence, expected, kLimits, 100'000)->kind == VerdictKind::fail);
}

TEST_CASE("pictures are bounded before they are kept", "[verify]") {
  Picture noise{2500, 1800, {}};
  uint32_t state = 1;
  for (size_t i = 0; i < size_t{3} * noise.width * noise.height; ++i)
    noise.rgb.push_back(static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24));
  base::Bytes kept = evidence_png(noise);
  CHECK(kept.size() <= kMaxKeptSize);
  CHECK(decode_picture("image/png", kept).width <= kKeptWidth);
  Picture seen = unpack_picture(pack_picture(noise));
  CHECK(seen.rgb == noise.rgb);
  Picture small = reduced({5, 3, base::Bytes(45, 9)}, 2, 2);
  CHECK(small.width == 1);
  CHECK(small.height == 1);
  CHECK(small.rgb == base::Bytes(3, 9));
  base::Bytes packed = pack_picture({2, 2, base::Bytes(12, 1)});
  for (size_t size = 0; size < packed.size(); ++size)
    CHECK_THROWS_AS(unpack_picture(base::ByteView(packed).first(size)), base::Error);
}

TEST_CASE("a screen is decoded and read without rights", "[verify]") {
  SKIP_UNLESS(tests::is_root() && !tests::is_sanitized(), "it needs root, and no sanitizer");
  base::ScratchDirectory scratch("/var/tmp", "muletto-screen-test");
  ScreenReader reader(scratch.path());
  Picture picture{64, 48, base::Bytes(size_t{3} * 64 * 48, 7)};
  CHECK(reader.read({"image/png", encode_png(picture)}).rgb == picture.rgb);
  CHECK_THROWS_AS(reader.read({"image/png", base::Bytes(100, 1)}), base::Error);
  CHECK_THROWS_AS(reader.read({"text/html", encode_png(picture)}), base::Error);
  CHECK(reader.recognise(picture).empty());
  for (size_t i = 0; i < 3000; ++i) picture.rgb[i * 3] = static_cast<uint8_t>(i % 7 * 36);
  reader.recognise(picture);  // ends with an answer
  CHECK(std::filesystem::is_empty(scratch.path()));
}

}  // namespace appliance::verify
