// A FileSystem that forwards everything to another one, counts it, and fails on demand: for tests
// that fail, or cut the power at, every single I/O in turn.
//
// Each call of a function of a FileSystem, and each read_at, append and sync of a file it opened,
// is one I/O; they are numbered from 1. (Asking an open file for its size does not count.)
// Thread-safe as FileSystem says; set the plan before other threads begin.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace base {

enum class Fault {
  io_error,  // nothing is done; throws io
  no_space,  // nothing is done; throws no_space
  // An append writes a part of its bytes, then throws no_space; otherwise like io_error.
  short_write,
  power_cut,  // like short_write, but throws io, and every later I/O throws io until reset()
};

class FaultyFileSystem : public FileSystem {
 public:
  // `files` must outlive this object, and everything it opened.
  explicit FaultyFileSystem(FileSystem& files);
  ~FaultyFileSystem() override;

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

  // The I/O with this number fails; a later call replaces an earlier one. 0: none does.
  void fail_at(uint64_t number, Fault fault);
  // Called before every I/O with its number; may throw in its place, and may use the underlying
  // file system.
  void before_each(std::function<void(uint64_t number)> call);

  uint64_t count() const;  // I/Os so far, failed ones included
  bool fired() const;      // whether the planned fault occurred
  // Resets the number of I/Os to 0, cancels the plan, and switches the power on.
  void reset();

 private:
  struct Plan;
  class OpenForReading;
  class OpenForWriting;

  FileSystem& files_;
  std::shared_ptr<Plan> plan_;
};

}  // namespace base
