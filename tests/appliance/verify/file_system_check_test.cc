// What the programs that check file systems said about real images, whole and damaged.
#include "appliance/verify/file_system_check.h"

#include <catch2/catch.hpp>

namespace appliance::verify {

TEST_CASE("what is damage and what every power cut leaves", "[verify]") {
  struct Case {
    const char* type;
    int status;
    const char* output;
    CheckResult result;
    const char* words;
  };
  const std::vector<Case> cases{
      {"ext4", 0, "/v/disk: 11/16384 files (0.0% non-contiguous), 5412/65536 blocks",
       CheckResult::whole, ""},
      {"ext4", 1, "/v/disk: recovering journal\n/v/disk: 11/16384 files", CheckResult::whole, ""},
      {"ext4", 4,
       "/v/disk: recovering journal\n/v/disk: Root inode is not a directory.\n\n"
       "/v/disk: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.",
       CheckResult::damaged, "Root inode is not a directory."},
      {"ext4", 8, "/v/disk: Bad magic number in super-block", CheckResult::unknown,
       "Bad magic number in super-block"},
      {"ext4", 137, "", CheckResult::unknown, "its check was ended by signal 9"},
      {"xfs", 0, "Phase 1 - find and verify superblock...", CheckResult::whole, ""},
      {"xfs", 1,
       "Phase 2 - using internal log\n        - zero log...\nALERT: The filesystem has valuable "
       "metadata changes in a log which is being\nagi unlinked bucket 1 is 12",
       CheckResult::unknown, "its journal has to be replayed first, by a mount"},
      {"xfs", 1,
       "Cannot get host filesystem geometry.\nPhase 2 - using internal log\n        - zero log...\n"
       "btree block 0/1 is suspect, error -74",
       CheckResult::damaged, "btree block 0/1 is suspect, error -74"},
      {"xfs", 1, "setrlimit: Operation not permitted\nsetrlimit failed - current: -1, max: -1",
       CheckResult::unknown, "setrlimit failed - current: -1, max: -1"},
      {"xfs", 1, "Phase 3 - for each AG...\n\nfatal error -- malloc failed", CheckResult::unknown,
       "fatal error -- malloc failed"},
      {"xfs", 1,
       "Phase 1 - find and verify superblock...\nSuperblock has unknown compat/rocompat/incompat "
       "features (0x0/0x0/0x100).\nUsing a more recent xfs_repair is recommended.\n"
       "Found unsupported filesystem features.  Exiting now.",
       CheckResult::unknown, "Using a more recent xfs_repair is recommended."},
      {"xfs", 1,
       "Required memory for repair is greater that the maximum specified\nwith the -m option. "
       "Please increase it to at least 1026.",
       CheckResult::unknown, "Required memory for repair is greater that the maximum specified"},
      {"btrfs", 1, "ERROR: cannot open file system: unsupported option features",
       CheckResult::unknown, "ERROR: cannot open file system: unsupported option features"},
      {"ntfs", 1,
       "Failed to access '/v/disk': No such file\nVolume is corrupt. You should run chkdsk.",
       CheckResult::unknown, "Failed to access '/v/disk': No such file"},
      {"ntfs", 1, "Record 0 has no FILE magic (0x1f09317f)\nVolume is corrupt.",
       CheckResult::damaged, "Record 0 has no FILE magic (0x1f09317f)"},
      {"vfat", 1,
       "fsck.fat 4.2 (2021-01-31)\nThere are differences between boot sector and its backup.\n"
       "  65:01/00\nDirty bit is set.\n/v/disk: 2 files, 6146/129022 clusters",
       CheckResult::whole, ""},
      {"vfat", 1, "Cluster 1022 out of range (240455689 > 129023). Setting to EOF.",
       CheckResult::damaged, "Cluster 1022 out of range (240455689 > 129023). Setting to EOF."},
      {"btrfs", 1, "ERROR: root [5 0] level 0 does not match 1", CheckResult::damaged,
       "ERROR: root [5 0] level 0 does not match 1"},
      {"btrfs", 1, "warning, device 2 is missing", CheckResult::unknown,
       "warning, device 2 is missing"},
      {"ext4", 127, "", CheckResult::unknown, "the program that checks it is not installed"},
  };
  for (const Case& each : cases) {
    INFO(each.type << ": " << each.output);
    CheckOutcome outcome = outcome_of(each.type, "/v/disk", each.status, each.output);
    CHECK(outcome.result == each.result);
    CHECK(outcome.words == each.words);
  }
  CHECK_FALSE(check_for("LVM2_member", "/v/disk", 0));
  CHECK(check_for("ext3", "/v/disk", 0)->writes);
  CHECK_FALSE(check_for("xfs", "/v/disk", 0)->writes);
}

}  // namespace appliance::verify
