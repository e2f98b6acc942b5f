// Where a program that reads hostile files is put: it sees those files, read-only, the system's
// programs and libraries, and /dev/null; no other file, no network, no other process. It runs as a
// user that owns nothing, may read the files whoever owns them, and gains no right back; its memory
// is bounded. A name of another file inside a hostile file leads nowhere.
//
// Made of Linux namespaces (mount, network, process, IPC), capabilities and a seccomp filter. For
// root; for another user a user namespace is added, and the program keeps that user's rights to the
// files. A file on a network or FUSE file system is judged by a server that knows users by number:
// then the program keeps the starter's number.
//
// Immutable once made; thread-safe. The descriptors it is given must stay open while it is used.
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

  // What clone() is to be told for a process that will enter().
  int clone_flags() const;
  // In the new process, before exec: only async-signal-safe calls. False, with errno, when the
  // kernel refuses something; the process must end then.
  bool enter() const noexcept;

 private:
  enum class StepKind { make_directory, make_file, make_link, bind_directory, bind_file };
  struct Step {
    StepKind kind;
    std::string place;   // relative to the new root
    std::string source;  // what is bound; a link's target
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
    std::string path;  // where it really lies
  };
  std::vector<Step> steps_;
  std::vector<Source> sources_;
  uint64_t memory_size_;
  bool root_;                // the starter is
  bool keeps_user_ = false;  // a server judges by its number
  uid_t user_ = 0;           // that it becomes
  std::string user_map_, group_map_;
};

}  // namespace base
