// A FileSystem in memory that knows what a power cut would leave. Each file has a current content
// and a durable one; each folder has current names and durable names. It is stricter than the disks
// it stands for: sync() makes bytes durable but never a name, and sync_directory() makes durable
// the names of one folder and nothing below it.
//
// Paths are absolute; "/" exists from the start. Thread-safe as FileSystem says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace base {

class MemoryFileSystem : public FileSystem {
 public:
  MemoryFileSystem();
  ~MemoryFileSystem() override;

  std::unique_ptr<ReadableFile> open(const std::string& path) override;
  std::unique_ptr<WritableFile> create(const std::string& path) override;
  std::unique_ptr<WritableFile> reopen(const std::string& path, uint64_t size) override;
  bool exists(const std::string& path) override;
  void make_directory(const std::string& path) override;
  std::vector<std::string> list(const std::string& directory) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void sync_directory(const std::string& directory) override;
  std::unique_ptr<FileLock> lock(const std::string& path, LockKind kind) override;

  // The power fails, and returns. What was durable is still there. The rest is decided by `seed`,
  // within what a disk may do: changes of names are kept or lost one by one, each as a whole, in
  // order or out of it; appended bytes are kept, lost, truncated anywhere, or sectors of them come
  // back as zeros or garbage. Nothing is locked afterwards, and every file that was open fails with
  // io.
  void power_cut(uint64_t seed);

  // The same files at this instant, both states of each; nothing is open or locked in the copy.
  std::unique_ptr<MemoryFileSystem> clone() const;

 private:
  struct State;
  class OpenForReading;
  class OpenForWriting;
  class HeldLock;

  explicit MemoryFileSystem(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace base
