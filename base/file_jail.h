// A jail for a program that reads hostile files. It sees those files, read-only, the system's
// programs and libraries, and /dev/null; no other file, no network, no other process. It runs as a
// user that owns nothing, may read the files whoever owns them, and cannot regain any privilege;
// its memory is bounded. The name of another file inside a hostile file leads nowhere.
//
// Built from Linux namespaces (mount, network, process, IPC), capabilities and a seccomp filter.
// Meant for root; for another user a user namespace is added, and the program keeps that user's
// access to the files. Access to a file on a network or FUSE file system is decided by a server
// that identifies users by number: then the program keeps the starter's user id.
//
// Immutable; thread-safe. The descriptors passed to it must stay open while it is used.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace base {

struct JailedFile {
  int fd = -1;        // open for reading
  std::string place;  // the absolute path without "." and ".." under which the program finds it
};

class FileJail {
 public:
  explicit FileJail(const std::vector<JailedFile>& files, uint64_t memory_size = 4ull << 30);

  // Flags for clone() for a process that will enter().
  int clone_flags() const;
  // Called in the new process, before exec: only async-signal-safe calls. False, with errno, if the
  // kernel refuses something; the process must end then.
  bool enter() const noexcept;

 private:
  enum class StepKind { make_directory, make_file, make_link, bind_directory, bind_file };
  struct Step {
    StepKind kind;
    std::string place;   // relative to the new root
    std::string source;  // what is bound, or a link's target
  };
  void add_system();
  void add_null_device();
  void add_parents(const std::string& place);
  bool build_root() const noexcept;
  bool reopen_files() const noexcept;
  static bool become_root() noexcept;
  bool take(const Step& step) const noexcept;
  bool give_up_rights() const noexcept;
  bool map_user() const noexcept;

  struct Source {
    int fd;
    std::string path;  // its real path
  };
  std::vector<Step> steps_;
  std::vector<Source> sources_;
  uint64_t memory_size_;
  bool root_;                // the starter is root
  bool keeps_user_ = false;  // a server decides access by user id
  uid_t user_ = 0;           // the user it becomes
  std::string user_map_, group_map_;
};

}  // namespace base
