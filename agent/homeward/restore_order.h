// An order of the appliance to restore a point to this host (docs/protocol.md, "Orders"). The
// appliance is not trusted more than anyone else: types, sizes and names are checked here, and what
// may be written is decided by permissions.h. Values; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "images/ids.h"
#include "images/wire/read_format.h"
#include "restore/engine/disk_writer.h"

namespace agent::homeward {

struct RestoreTarget {
  std::string disk;
  std::string path;    // absolute, without "..": a file that may not exist yet, or a block device
  std::string format;  // "raw" or "qcow2"
};

// A step of a failback (docs/failback.md).
struct HomeOrder {
  enum class Step {
    copy,         // the disks get the point
    last,         // the same, and the definition and the machine's state too
    start,        // start the machine, once for `number`
    never_start,  // promise never to start it for `number`
  };
  Step step = Step::copy;
  uint64_t failback = 0;
  std::string boot;                       // the instant VM that runs the machine
  std::optional<images::PointId> base{};  // that the disks should hold already
  std::string number;                     // of the start: 32 hexadecimal digits
};

struct RestoreOrder {
  uint64_t order = 0;
  std::optional<HomeOrder> home{};
  images::wire::Ticket ticket;
  std::string machine;
  images::PointId point;
  std::vector<std::string> disks;
  // Where to: exactly one of the three.
  std::vector<RestoreTarget> targets;
  std::string folder;     // a file for each disk, in `format`
  bool in_place = false;  // the disks that the machine has on this host
  std::string format = "qcow2";
  bool shut_down = false;  // the machine, if it runs
  bool define = false;     // as a domain called `name`, or as it was called
  std::string name;
  bool start = false;
  std::map<std::string, std::string> networks;  // of the definition: of this host
  std::string overwrite;                        // the name of the machine that may be overwritten
  bool erase_foreign = false;                   // also what is not that machine's
  restore::Verify verify = restore::Verify::written;
  bool survey = false;  // say what differs, and change nothing
  uint64_t rate = 0;    // bytes per second; 0: no limit
};

// Throws invalid_argument.
RestoreOrder parse_restore_order(const nlohmann::json& text);

}  // namespace agent::homeward
