// A FileSystem that passes everything on to another one, counts it, and fails on order: for tests
// that fail, or cut the power at, every single I/O in turn.
//
// Each call of a function of a FileSystem, and each read_at, append and sync of a file it opened,
// is one I/O; they are numbered from 1. (Asking an open file for its size is none.) Thread-safe as
// FileSystem says; the plan is made before other threads begin.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace base {

enum class Fault {
  io_error,     // nothing is done; throws io
  no_space,     // nothing is done; throws no_space
  short_write,  // an append writes a part of its bytes, then throws no_space; all else is as
                // io_error
  power_cut,    // as short_write, but throws io, and every I/O after it throws io until reset()
};

class FaultyFileSystem : public FileSystem {
 public:
  // `files` must outlive this, and everything it opened.
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

  // The I/O of this number fails; a later call takes the place of an earlier one. 0: none does.
  void fail_at(uint64_t number, Fault fault);
  // Called before every I/O with its number; may throw in its place, and may use the file system
  // below.
  void before_each(std::function<void(uint64_t number)> call);

  uint64_t count() const;  // I/Os so far, failed ones included
  bool fired() const;      // whether the ordered fault came to pass
  // The number of I/Os is 0 again, nothing is ordered, and the power is on.
  void reset();

 private:
  struct Plan;
  class OpenForReading;
  class OpenForWriting;

  FileSystem& files_;
  std::shared_ptr<Plan> plan_;
};

}  // namespace base
