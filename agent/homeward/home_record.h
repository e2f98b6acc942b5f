// What this host knows of a machine that a failback brings home (docs/failback.md): where its disks
// are, which point they hold, and whether it was started. It is what "never two" rests on at home, so
// it is durable before each step that it tells of. Written by the restore's process, under the
// machine's lock; read by anyone. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/homeward/restore_order.h"

namespace agent::homeward {

enum class StartState {
  none,
  starting,  // the machine may have been started since
  started,
  voided,  // it never was, and never will be
};

struct HomeTarget {
  RestoreTarget place;
  // Of the file when it was complete: who changed it since changed this too. Empty for a device.
  std::string mark;
};

struct HomeRecord {
  uint64_t failback = 0;
  std::string boot;      // the instant VM whose machine this is
  std::string domain;    // of libvirt's here; empty: it is not defined yet
  bool is_ours = false;  // the failback has defined it
  std::vector<HomeTarget> targets;
  std::optional<images::PointId> point;  // that all targets hold; none: they hold a mixture
  std::string number;                    // of the start
  StartState start = StartState::none;

  // The machine may run here, though an instant VM of that id ran it before: it was ordered to, by a
  // failback after the given one.
  bool allows(std::string_view instant_vm, uint64_t after) const {
    return boot == instant_vm && failback > after &&
           (start == StartState::starting || start == StartState::started);
  }
};

// None if there is none. Throws corrupt for one that cannot be read: nothing is started then.
std::optional<HomeRecord> load_home_record(const std::string& state_directory,
                                           std::string_view machine_name);
// Durable when it returns.
void save_home_record(const std::string& state_directory, std::string_view machine_name,
                      const HomeRecord& record);

// Of a regular file: what changes whenever its content or owner does. Empty for anything else.
std::string file_mark(const std::string& path);

}  // namespace agent::homeward
