// How a program that reads hostile bytes is run: by the program muletto-sandbox (base/sandbox/),
// which is installed beside this one, in lib/muletto, or where MULETTO_SANDBOX says. The command
// gets
//
//   - a user id that no other process has, no group, no capability, and no way to gain one;
//   - namespaces of its own: processes, mounts, IPC, host name, and a network without an interface,
//     unless it is told to keep its starter's;
//   - the file system read-only, with an empty /tmp of 64 MiB, an empty /run and the five harmless
//     devices of /dev; no environment except PATH, HOME, TMPDIR and LC_ALL=C.UTF-8;
//   - bounded memory, processor time, processes, open files and file sizes, and no core dump;
//   - a system call filter: no mounts, namespaces, tracing, kernel keys, BPF, io_uring, modules;
//     without a network, only local sockets;
//   - the lowest priority, if requested; and it dies with its starter, with all it started.
//
// It ends with the command's status, or 128 + the signal; 125 if it could not be confined and was
// not run (with a sentence on standard error), 127 if the command does not exist. Needs root. The
// functions are pure, except that they look for the program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace base {

struct Confinement {
  // Runs with the view of file systems and network of this process; none: with that of the starter.
  std::optional<pid_t> namespaces_of;
  bool keeps_network = false;         // that of the starter's thread, or of `namespaces_of`
  uint64_t memory_size = 1ull << 30;  // bytes of address space
  uint64_t file_size = 16ull << 20;   // bytes, of each file it writes; 0: no limit
  std::chrono::seconds processor_time{1200};
  int nice = 15;
  std::string input_path;     // its standard input; the command need not have the right to open it
  std::string place;          // a folder that it sees as kConfinedPlace; empty: none
  std::string writable_path;  // a mount point that it may write on; empty: none
};

inline constexpr char kConfinedPlace[] = "/mnt";
constexpr int kNotConfined = 125;

// The command, prefixed with what confines it, for Subprocess and run_command(). A command with a
// '/' is looked up before it is confined, so it may be in /tmp. Throws not_found if muletto-sandbox
// is missing.
std::vector<std::string> confined(const std::vector<std::string>& command,
                                  const Confinement& confinement = {});

// One of our programs, installed beside this one. Throws not_found. `variable` names an environment
// variable that may hold its path; may be null.
std::string program_beside(const std::string& name, const char* variable = nullptr);

}  // namespace base
