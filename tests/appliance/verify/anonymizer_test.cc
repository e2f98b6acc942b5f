#include "appliance/verify/anonymizer.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "appliance/verify/console_text.h"

namespace appliance::verify {

TEST_CASE("nothing of a client's is left in a console's text", "[verify]") {
  Anonymizer anonymizer({"dc01.mueller-dental.de", "Mueller Dental"});
  const std::string text =
      "Welcome to Zahnarztpraxis M\xc3\xbcller, Hauptstrasse 14, 80331 M\xc3\xbcnchen\n"
      "Contact: kai.mueller@mueller-dental.de or +49 89 12345678\n"
      "eth0: 192.168.17.4/24 via 192.168.17.1, 52:54:00:ab:cd:ef, fe80::5054:ff:feab:cdef\n"
      "Serial S3Z9NB0K123456, root=UUID=5e6d8f1a-0b1c-4d2e-8f90-a1b2c3d4e5f6\n"
      "server fileserver.mueller-dental.de:445, dc01 is up\n"
      "DC01 login: ";
  std::string cleaned = anonymizer.clean(text);
  INFO(cleaned);
  std::string lower = cleaned;
  std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
  for (const char* secret :
       {"zahnarzt", "ller", "hauptstrasse", "80331", "kai", "mueller", "dental", "12345678",
        "192.168", "52:54", "fe80", "s3z9", "5e6d8f1a", "fileserver", "dc01"}) {
    INFO(secret);
    CHECK(lower.find(secret) == std::string::npos);
  }
  // What verdicts depend on stays.
  CHECK_THAT(cleaned, Catch::Contains(" login: "));
  CHECK(read_console(cleaned).meaning == read_console(text).meaning);
  CHECK(std::count(cleaned.begin(), cleaned.end(), '\n') ==
        std::count(text.begin(), text.end(), '\n'));
}

TEST_CASE("the same word is always replaced by the same one", "[verify]") {
  Anonymizer anonymizer({"till4"});
  std::string first = anonymizer.clean("Kasse bereit, till4, 10.0.0.5 and 10.0.0.6");
  std::string second = anonymizer.clean("KASSE till4 10.0.0.6");
  CHECK(first == "worda wordb, namea, 192.0.2.1 and 192.0.2.2");
  CHECK(second == "worda namea 192.0.2.2");
  REQUIRE(anonymizer.replacements().size() == 5);
  CHECK(anonymizer.replacements()[0].original == "Kasse");
  CHECK(anonymizer.replacements()[0].count == 2);
  CHECK(anonymizer.replacements()[2].kind == "name");
}

TEST_CASE("boot messages are still read as what they are", "[verify]") {
  // A machine's name may be a word of a phrase.
  Anonymizer anonymizer({"login", "grub"});
  for (const char* text :
       {"Booting from Hard Disk...", "No bootable device.",
        "error: no such partition.\ngrub rescue> ",
        "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on "
        "unknown-block(0,0)",
        "Gave up waiting for root file system device.\n(initramfs) ",
        "You are in emergency mode. After logging in, type", "Please unlock disk vda2_crypt: ",
        "[   31.402117] EXT4-fs error (device dm-0): ext4_lookup:1855: inode #12: comm sh",
        "blk_update_request: I/O error, dev sda, sector 2048", "UEFI Interactive Shell v2.2",
        "root@web:~# ", "web gebruikersnaam: ", "Press Ctrl+Alt+Del to unlock", "Memtest86+ v6.10",
        "Clear<y>? ", "BOOTMGR is missing", "[press ENTER to login]",
        "XFS (dm-0): Metadata corruption detected at xfs_agi_verify",
        "IO-APIC + timer doesn't work!  Boot with apic=debug"}) {
    INFO(text);
    std::string cleaned = anonymizer.clean(text);
    INFO(cleaned);
    CHECK(read_console(cleaned).meaning == read_console(text).meaning);
    CHECK(read_console(cleaned).disk_error.empty() == read_console(text).disk_error.empty());
  }
}

TEST_CASE("bytes that are no text, and long ones, are bounded", "[verify]") {
  Anonymizer anonymizer({"", "..", "a"});
  std::string bytes;
  for (int i = 0; i < 200'000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  CHECK(anonymizer.clean(bytes).size() < 20 * bytes.size());
  CHECK(anonymizer.clean(std::string(100'000, '.')).size() == 100'000);
  CHECK(anonymizer.clean(std::string(100'000, '7')) == std::string(100'000, '0'));
}

}  // namespace appliance::verify
