// What sfdisk(8) and blkid(8) say of a disk: its partitions, and what is in each. The programs read
// what a guest wrote, confined; their output is parsed here, bounded. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace appliance::verify {

struct FoundPart {
  std::string name;               // "vda1"; a bare disk's own
  uint64_t offset = 0, size = 0;  // bytes; 0: all of it
};

// The partitions in the output of sfdisk --json PATH that may hold something; none if there is no
// table. `disk` is what their names begin with.
std::vector<FoundPart> parts_in(const std::string& text, const std::string& path,
                                const std::string& disk);

struct FoundType {
  std::string type;       // blkid's TYPE; empty if there is none
  std::string uuid;       // of the file system
  bool is_blank = false;  // nothing is recognised there
};
// Of the output of blkid -p -o export, which ended with `status`.
FoundType type_in(const std::string& text, int status);

}  // namespace appliance::verify
