// Never the wrong disk: whether a target may be overwritten with a disk. Functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/disk_reader.h"
#include "restore/engine/target.h"
#include "restore/engine/target_content.h"

namespace restore {

struct TargetFindings {
  uint64_t size = 0;                    // bytes, before anything was changed
  bool is_empty = false;                // nothing was found on it
  std::vector<std::string> signatures;  // what was found, as DiskContent
  // Those of `signatures` that the disk does not have at the same place: they belong to something
  // else, or to an older state of this disk whose partition table or file system was remade.
  std::vector<std::string> foreign;
  // What a person should know about it afterwards, as sentences: that it is larger, and what became
  // of the rest.
  std::vector<std::string> notes;

  // "gpt partition table …, ext4 file system …", "data of an unknown kind", "nothing".
  std::string description() const;
};

struct Overwriting {
  // The name of the disk's machine, as a person wrote it: "what is there may be overwritten".
  std::string machine_name;
  // Also what belongs to something else.
  bool erase_foreign = false;
};

// Reads both; changes nothing. Throws what the reads throw, invalid_argument if a device is smaller
// than the disk.
TargetFindings examine_target(const Target& target, images::DiskReader& disk);

// Throws already_exists, with what was found and what to do, unless the target is empty or
// `overwriting` permits it: the name must be the machine's, and foreign content needs
// `erase_foreign` too.
void require_overwritable(const Target& target, const TargetFindings& findings,
                          const std::string& machine_name, const Overwriting& overwriting);

}  // namespace restore
