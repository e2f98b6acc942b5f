#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/direct_writer.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace base {
namespace {

[[noreturn]] void fail(const std::string& action, const std::string& path) {
  throw system_error(errno, "cannot " + action + " " + path);
}

class RealReadableFile : public ReadableFile {
 public:
  RealReadableFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  uint64_t size() const override {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0) fail("examine", path_);
    return static_cast<uint64_t>(status.st_size);
  }

  void read_at(uint64_t offset, MutableByteView out) const override {
    while (!out.empty()) {
      ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("read", path_);
      if (count == 0) throw Error(ErrorCode::corrupt, path_ + " ends too early");
      out = out.subspan(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

class RealWritableFile : public WritableFile {
 public:
  RealWritableFile(UniqueFd fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), writer_(fd_.get()), path_(std::move(path)), size_(size) {}

  uint64_t size() const override { return size_; }

  void append(ByteView bytes) override {
    try {
      writer_.write_at(size_, bytes);
    } catch (const Error& error) {
      throw error.with_context(path_);
    }
    size_ += bytes.size();
  }

  void sync() override {
    if (::fdatasync(fd_.get()) != 0) fail("make durable", path_);
  }

 private:
  UniqueFd fd_;
  DirectWriter writer_;
  std::string path_;
  uint64_t size_;
};

class RealFileLock : public FileLock {
 public:
  explicit RealFileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

class RealFileSystem : public FileSystem {
 public:
  std::unique_ptr<ReadableFile> open(const std::string& path) override {
    return std::make_unique<RealReadableFile>(open_fd(path, O_RDONLY, "open"), path);
  }

  std::unique_ptr<WritableFile> create(const std::string& path) override {
    UniqueFd fd = open_fd(path, O_WRONLY | O_CREAT | O_EXCL, "create");
    return std::make_unique<RealWritableFile>(std::move(fd), path, 0);
  }

  std::unique_ptr<WritableFile> reopen(const std::string& path, uint64_t size) override {
    UniqueFd fd = open_fd(path, O_WRONLY, "open");
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fail("truncate", path);
    return std::make_unique<RealWritableFile>(std::move(fd), path, size);
  }

  bool exists(const std::string& path) override {
    if (::access(path.c_str(), F_OK) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    fail("examine", path);
  }

  void make_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) fail("create folder", path);
  }

  std::vector<std::string> list(const std::string& directory) override {
    DIR* stream = ::opendir(directory.c_str());
    if (stream == nullptr) fail("list", directory);
    std::vector<std::string> names;
    while (dirent* entry = ::readdir(stream)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(stream);
    std::sort(names.begin(), names.end());
    return names;
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("rename " + from + " to", to);
  }

  void remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) fail("remove", path);
  }

  void sync_directory(const std::string& directory) override {
    UniqueFd fd = open_fd(directory, O_RDONLY | O_DIRECTORY, "open folder");
    if (::fsync(fd.get()) != 0) fail("make durable", directory);
  }

  std::unique_ptr<FileLock> lock(const std::string& path, LockKind kind) override {
    UniqueFd fd = open_fd(path, O_RDONLY, "open");
    int operation = (kind == LockKind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
    if (::flock(fd.get(), operation) != 0) {
      if (errno == EWOULDBLOCK)
        throw Error(ErrorCode::busy, path + " is in use by another process");
      fail("lock", path);
    }
    return std::make_unique<RealFileLock>(std::move(fd));
  }

 private:
  static UniqueFd open_fd(const std::string& path, int flags, const std::string& action) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0640));
    if (!fd) fail(action, path);
    return fd;
  }
};

}  // namespace

FileSystem& real_file_system() {
  static RealFileSystem files;
  return files;
}

Bytes read_file(FileSystem& files, const std::string& path, uint64_t limit) {
  auto file = files.open(path);
  uint64_t size = file->size();
  if (size > limit) {
    throw Error(ErrorCode::corrupt, path + " has " + std::to_string(size) + " bytes; at most " +
                                        std::to_string(limit) + " are allowed");
  }
  Bytes bytes(size);
  file->read_at(0, bytes);
  return bytes;
}

Bytes read_to_end(const std::string& path, uint64_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw system_error(errno, "cannot open " + path);
  Bytes bytes(limit + 1);
  size_t size = 0;
  while (size < bytes.size()) {
    ssize_t count = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read " + path);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > limit) {
    throw Error(ErrorCode::corrupt,
                path + " has more than " + std::to_string(limit) + " bytes, which are allowed");
  }
  bytes.resize(size);
  return bytes;
}

void write_file_durably(FileSystem& files, const std::string& path, ByteView bytes) {
  std::string temporary = path + ".tmp";
  if (files.exists(temporary)) files.remove(temporary);
  try {
    auto file = files.create(temporary);
    file->append(bytes);
    file->sync();
  } catch (...) {
    try {
      if (files.exists(temporary)) files.remove(temporary);
    } catch (const Error&) {
      // The first failure is the one to report; a leftover .tmp is replaced by the next attempt.
    }
    throw;
  }
  files.rename(temporary, path);
  files.sync_directory(parent_path(path));
}

void make_directory_durably(FileSystem& files, const std::string& path) {
  files.make_directory(path);
  // Even if it existed already: its creator may have died, or failed, before doing this.
  files.sync_directory(parent_path(path));
}

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

std::string parent_path(const std::string& path) {
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace base
