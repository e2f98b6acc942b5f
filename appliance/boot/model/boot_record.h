// boot.json: what one boot is, written before any part of it exists and kept until nothing of it is
// left. Not thread-safe; files are written durably.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/boot/model/instant_vm.h"
#include "base/file_system.h"

namespace appliance::boot {

enum class Phase {
  starting,  // being created: without a domain it can be removed after a crash
  started,   // QEMU ran; if it no longer does, the reason has to be found out (restart.h)
  stopping,  // its end was ordered: to be completed after a crash
  kept,      // stopped, with its overlay kept
  ended,     // the guest or a person switched it off, or it waits: it is not restarted
};

// Who may run the machine while it is brought home (docs/failback.md). Every start asks it.
enum class Holder {
  here,    // this appliance may
  nobody,  // its end here was seen, and home has no order to start it yet
  home,    // home may have started it
};
std::string_view holder_name(Holder holder);  // "here", "nobody", "home"

struct BootRecord {
  Phase phase = Phase::starting;
  // Everything except state, problem (see below), console and the overlays' sizes, which are
  // determined each time.
  InstantVm vm;
  std::string console_password;
  std::string tpm_folder;       // where its TPM's state is; empty: none of ours
  bool has_fresh_macs = false;  // it was made to run beside the original
  bool keep_overlay = false;    // for a stop in progress
  std::string trace_key;        // of the machine, on the BootTraceCache; empty in records before it
  std::string problem;          // a sentence: why it is not running though it should; empty: none
  uint32_t failed_restarts = 0;  // in a row
  uint64_t next_restart_ms = 0;  // UTC; not before
  Holder holder = Holder::here;
  std::string start_number;  // of the order to start it at home, once it was `home`
  int64_t failback = 0;      // the number of the failback that brings it home; 0: none does
};

// The paths of one boot's files.
struct BootPaths {
  std::string folder;       // STATE/vms/BOOT-ID
  std::string run_folder;   // RUN/vms/BOOT-ID
  std::string record_path;  // boot.json
  std::string domain_path;  // domain.xml
  std::string serial_path;  // serial.log
  std::string nvram_path;   // nvram.fd
  std::string log_path;     // export.log: nbdkit's messages
  std::string trace_path;   // boot.trace: what the boot has read, once nbdkit has written it
  std::string socket_path;  // export.sock, in run_folder

  std::string overlay_path(std::string_view disk_name) const;
};

BootPaths boot_paths(const std::string& state_directory, const std::string& run_directory,
                     const BootId& id);

std::string record_to_json(const BootRecord& record);
// Throws corrupt, naming `what`.
BootRecord record_from_json(std::string_view text, std::string_view what);

void write_record(base::FileSystem& files, const BootPaths& paths, const BootRecord& record);
// Throws not_found, corrupt.
BootRecord read_record(base::FileSystem& files, const BootPaths& paths);

}  // namespace appliance::boot
