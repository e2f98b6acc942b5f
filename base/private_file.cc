#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/unique_fd.h"

namespace base {
namespace {

void write_and_sync(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot write to " + path);
    text.remove_prefix(static_cast<size_t>(count));
  }
  if (::fsync(fd) != 0) throw system_error(errno, "cannot make durable " + path);
}

}  // namespace

void write_private_file(const std::string& path, std::string_view text) {
  std::string temporary = path + ".tmp";
  // A file left by a crash may have another owner or mode: it is replaced, never reused.
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT)
    throw system_error(errno, "cannot replace " + temporary);
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw system_error(errno, "cannot create " + temporary);
  try {
    write_and_sync(fd.get(), text, temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      throw system_error(errno, "cannot rename to " + path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  real_file_system().sync_directory(parent_path(path));
}

void make_private_directory(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return;
  std::string parent = parent_path(path);
  if (::access(parent.c_str(), F_OK) != 0) {
    make_private_directory(parent);
    if (::chmod(parent.c_str(), 0755) != 0)
      throw system_error(errno, "cannot set the mode of " + parent);
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot create folder " + path);
  real_file_system().sync_directory(parent);
}

void make_passable_directory(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return;
  std::string parent = parent_path(path);
  if (parent != path) make_passable_directory(parent);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return;
    throw system_error(errno, "cannot make the folder " + path);
  }
  if (::chmod(path.c_str(), 0711) != 0) throw system_error(errno, "cannot set the mode of " + path);
}

std::string read_private_file(const std::string& path, size_t limit) {
  Bytes bytes = read_file(real_file_system(), path, limit);
  return std::string(as_text(bytes));
}

}  // namespace base
