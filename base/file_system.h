// The only access to files for code whose durability is proved by tests: the store and everything
// in it. Implementations: the real one (here), one in memory with a durable and a volatile state
// (memory_file_system.h), and one that fails on demand (faulty_file_system.h). All pass the
// contract test tests/base/file_system_contract.cc. It is kept narrow (append-only files,
// whole-name operations) so that sealed files can live in an object store.
//
// Thread-safety: a FileSystem and a ReadableFile may be used by any number of threads; a
// WritableFile and a FileLock by one thread at a time. Errors: every function throws base::Error
// (not_found, already_exists, no_space, io, …) that names the path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace base {

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual uint64_t size() const = 0;
  // Fills `out` from `offset`; throws corrupt when the file ends before `out` is full.
  virtual void read_at(uint64_t offset, MutableByteView out) const = 0;
};

class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Bytes appended so far, plus the size of the file when it was opened.
  virtual uint64_t size() const = 0;
  // Appends `bytes`. Visible to readers when it returns, durable only after sync(). After a throw
  // the file may contain any prefix of `bytes`.
  virtual void append(ByteView bytes) = 0;
  // Makes all appended bytes durable (the name needs sync_directory as well).
  virtual void sync() = 0;
};

// Held until destroyed; released by the system when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class LockKind { shared, exclusive };

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::unique_ptr<ReadableFile> open(const std::string& path) = 0;
  // Creates an empty file; throws already_exists if the name is taken.
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  // Opens an existing file to append after its first `size` bytes; anything beyond is truncated.
  virtual std::unique_ptr<WritableFile> reopen(const std::string& path, uint64_t size) = 0;

  virtual bool exists(const std::string& path) = 0;
  // Its parent exists; no error if the directory exists too.
  virtual void make_directory(const std::string& path) = 0;
  virtual std::vector<std::string> list(const std::string& directory) = 0;  // names, sorted
  virtual void rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual void remove(const std::string& path) = 0;                         // a file
  // Makes creations, renames and removals in `directory` durable.
  virtual void sync_directory(const std::string& directory) = 0;

  // An advisory lock on an existing file or directory, effective between processes and within one.
  // Throws busy at once if there is another holder.
  virtual std::unique_ptr<FileLock> lock(const std::string& path, LockKind kind) = 0;
};

// The machine's own file system. Lives as long as the program.
FileSystem& real_file_system();

// The whole file; throws corrupt if it is larger than `limit` bytes.
Bytes read_file(FileSystem& files, const std::string& path, uint64_t limit);

// Reads everything up to the end: for files without a size, such as those in /proc, and for pipes
// that a person names. Waits for a pipe's end. Throws corrupt if it is more than `limit` bytes, and
// otherwise as FileSystem::open.
Bytes read_to_end(const std::string& path, uint64_t limit);

// Writes `bytes` as `path`, all or nothing: temporary file next to it, sync, rename, sync of the
// folder. Durable when it returns. Replaces an existing file.
void write_file_durably(FileSystem& files, const std::string& path, ByteView bytes);

// make_directory() whose name is durable when it returns, whoever created it.
void make_directory_durably(FileSystem& files, const std::string& path);

// "a/b" + "c" = "a/b/c".
std::string join_path(const std::string& directory, const std::string& name);
// "a/b/c" → "a/b"; "c" → ".".
std::string parent_path(const std::string& path);

}  // namespace base
