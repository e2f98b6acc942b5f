// Reads the file systems on the disks of a point through the program muletto-files, which runs
// without privileges, files and network, as a user of its own (base/confinement.h), and has no other
// way to the disks than to ask this process for bytes of them. What it answers is checked
// (files_format.h). Needs root, as the confinement does. Not thread-safe: one thing is asked at a
// time, by one thread at a time; the thread that makes it must live as long as it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "images/disk_source.h"
#include "images/files/files_format.h"

namespace images::files {

struct SharedDisk {
  std::string name;
  std::shared_ptr<DiskSource> source;
};

struct ProcessLimits {
  uint64_t memory_size = 512ull << 20;  // bytes of address space
  std::chrono::seconds processor_time{6 * 60 * 60};
  std::chrono::seconds longest_silence{60};   // it is ended after that
  std::chrono::seconds longest_opening{300};  // with keys: passphrases are stretched
  std::chrono::seconds longest_page{120};     // for list() and look(), disk reads included
};

// The content of the file of the last Entry is complete, or what was wrong with it.
struct ContentEnd {
  std::string why;  // empty: it is whole
};
using Event = std::variant<Entry, std::vector<DataRange>, Data, ContentEnd, Problem, Progress, End>;

struct FilePage {
  std::vector<Entry> entries;  // in the folder's own order
  std::vector<Problem> problems;
  uint64_t cursor = 0;  // where the next page begins
  bool has_more = false;
};

class FilesProcess {
 public:
  // Starts it, and finds the file systems. `keys` are for encrypted volumes, and are kept by the
  // program alone. Throws unavailable (the program is not installed, failed, or answered what
  // cannot be), and what it answers.
  FilesProcess(std::vector<SharedDisk> disks, const std::vector<volumes::VolumeKey>& keys,
               const ProcessLimits& limits = {});
  ~FilesProcess();  // ends it, whatever it is doing

  const FoundFileSystems& found() const { return found_; }
  pid_t pid() const { return process_->pid(); }  // of what confines it

  // These throw what the program answers with: not_found (no such path), invalid_argument (not a
  // folder), corrupt (the file system is damaged there), unsupported; and unavailable if it ended,
  // or was silent for too long. After unavailable and corrupt messages it is of no more use.
  FilePage list(uint32_t file_system, const std::string& path, uint64_t cursor, uint32_t limit);
  // The same of a folder that an entry named, which saves looking for its path.
  FilePage list(uint32_t file_system, const NodeId& folder, uint64_t cursor, uint32_t limit);
  Node look(uint32_t file_system, const std::string& path);

  // A long answer: begin_… and then next() until an End, which must be good or bad (it is not
  // thrown). `length` beyond the file's end is cut.
  void begin_read(uint32_t file_system, const std::string& path, uint64_t offset, uint64_t length);
  void begin_walk(const WalkRequest& request);
  Event next();

  // Whether it can be asked: no answer is open, and it has not failed.
  bool is_ready() const { return !is_asked_ && !is_broken_; }

 private:
  FilePage read_page(uint32_t limit);
  void ask(const base::Bytes& message);
  base::Bytes receive();  // serves reads of the disks until another message comes
  void serve(const DiskRead& read);
  void send(const base::Bytes& message);
  void read_exactly(uint8_t* to, size_t size, std::chrono::steady_clock::time_point deadline);
  [[noreturn]] void give_up(const std::string& what);
  Event next_event();

  const std::vector<SharedDisk> disks_;
  const ProcessLimits limits_;
  base::UniqueFd socket_;
  std::unique_ptr<base::Subprocess> process_;
  FoundFileSystems found_;
  std::chrono::steady_clock::time_point latest_ = std::chrono::steady_clock::time_point::max();
  bool is_asked_ = false, is_broken_ = false, is_opening_ = false;
};

}  // namespace images::files
