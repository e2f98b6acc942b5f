// How a program that reads hostile bytes is run: by the program muletto-sandbox (base/sandbox/),
// which stands beside this one, in lib/muletto, or where MULETTO_SANDBOX says. The command gets
//
//   - a user id that no other process has, no group, no capability, and no way to gain one;
//   - namespaces of its own: processes, mounts, IPC, host name, and a network without an interface,
//     unless it is told to keep its starter's;
//   - the file system read-only, with an empty /tmp of 64 MiB, an empty /run and the five harmless
//     devices of /dev; no environment but PATH, HOME, TMPDIR and LC_ALL=C.UTF-8;
//   - bounded memory, processor time, processes, open files and file sizes, and no core dump;
//   - a filter of system calls: no mounts, namespaces, tracing, kernel keys, BPF, io_uring, modules;
//     without a network, no sockets but local ones;
//   - the lowest priority that is asked for; and it dies with its starter, with all it started.
//
// It ends with the command's status, or 128 + the signal; 125 if it could not be confined and was
// not run (a sentence on standard error), 127 if it is not there. Needs root. Pure functions but
// for the look for the program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace base {

struct Confinement {
  // Runs on what this process sees of file systems and network; none: on what the starter sees.
  std::optional<pid_t> namespaces_of;
  bool keeps_network = false;         // of the starter's thread, or of `namespaces_of`
  uint64_t memory_size = 1ull << 30;  // bytes of address space
  uint64_t file_size = 16ull << 20;   // bytes, of each file it writes; 0: as large as it likes
  std::chrono::seconds processor_time{1200};
  int nice = 15;
  std::string input_path;     // its standard input; the command need not be able to open it
  std::string place;          // a folder that it sees as kConfinedPlace; empty: none
  std::string writable_path;  // a mount point that it may write on; empty: none
};

inline constexpr char kConfinedPlace[] = "/mnt";
constexpr int kNotConfined = 125;

// The command with what confines it in front, for Subprocess and run_command(). A command with a
// '/' is found before it is confined, so it may lie in /tmp. Throws not_found if muletto-sandbox is
// missing.
std::vector<std::string> confined(const std::vector<std::string>& command,
                                  const Confinement& confinement = {});

// A program of ours that is installed beside this one. Throws not_found. `variable` names an
// environment variable that may hold its path; may be null.
std::string program_beside(const std::string& name, const char* variable = nullptr);

}  // namespace base
