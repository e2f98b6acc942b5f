// Checks of any machine, for `muletto doctor` and `muletto-agent doctor`. They ask no appliance, change
// nothing that lasts, and write only unnamed files. Thread-safe; they throw base::Error for what could
// not be checked, which examine() reports.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/doctor/finding.h"
#include "base/socket_stream.h"

namespace base::doctor {

// Whether the kernel's clock is kept by a time service (adjtimex(2)), whichever that is, and whether the
// time is after the last change of each of `witnesses`, files that exist here.
std::vector<Finding> look_at_clock(const std::vector<std::string>& witnesses);

// Writes and reads a file of 64 MiB without a name in the folder, past the page cache where that is
// possible, for at most some seconds; then small durable writes, as commits make them.
std::vector<Finding> look_at_disk_speed(const std::string& directory);
struct DiskSpeed {
  double write_rate = 0;  // bytes a second
  double read_rate = 0;
  double commit_ms = 0;  // median of a durable write of 4 KiB
  bool is_past_cache = false;
};
Finding judge_disk_speed(const DiskSpeed& speed, const std::string& directory);

Finding look_at_space(const std::string& directory);

// This machine's name, and that `peer` (may be empty) has addresses.
std::vector<Finding> look_at_names(const std::string& peer);

// The MTU of each interface that is up, and for a bridge whether its ports have the same.
std::vector<Finding> look_at_mtu();
// The kernel's MTU on the way to `peer`. Sends nothing.
Finding look_at_path_mtu(const Endpoint& peer);

// Whether the address can be listened on; a port that is taken is fine if `owner` is given: "mulettod
// (pid 17)", which the caller has found to be ours.
Finding look_at_port(const std::string& host, uint16_t port, const std::string& owner);

// When the first certificate of the text expires.
Finding look_at_certificate(std::string_view pem, const std::string& subject,
                            const std::string& remedy, uint64_t now_ms);

// Whether the rules of this machine's firewall let connections to the port in: nft's, or iptables'.
Finding look_at_firewall(uint16_t port);
// What `nft --json list ruleset` says of it. Throws invalid_argument for what is no such answer.
Finding judge_nft_rules(std::string_view answer, uint16_t port);
// The same for `iptables -S INPUT`.
Finding judge_iptables_rules(std::string_view answer, uint16_t port);

// The first line that the program prints when it is asked for its version.
Finding look_at_program(const std::string& name, const std::string& package,
                        const std::string& version_option = "--version");

// The kernel names of the physical disks that the file, folder or device is on, through partitions,
// volumes and arrays: {"sda", "sdb"}. Throws unsupported where it is on none: a network, memory.
std::set<std::string> physical_disks_of(const std::string& path);

}  // namespace base::doctor
