// A FileSystem in memory that knows what a power cut would leave: each file has a content as it is
// read and one that is durable, each folder has names as they are listed and names that are
// durable. It is stricter than the disks it stands for: sync() makes bytes durable and never a
// name, sync_directory() the names of one folder and nothing below it.
//
// Paths are absolute; "/" is there from the start. Thread-safe as FileSystem says.
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

  // The power goes, and comes back. What was durable is there. Of the rest, as `seed` decides and
  // as a disk may: changes of names are kept or lost one by one, each as a whole, in order or out
  // of it; bytes that were appended are kept, lost, cut anywhere, or sectors of them come back as
  // zeros or garbage. Nothing is locked afterwards, and every file that was open fails with io.
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
