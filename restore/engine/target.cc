#include "restore/engine/target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/direct_writer.h"
#include "base/error.h"
#include "base/text.h"
#include "restore/engine/target_use.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kBlock = base::kDirectBlockSize;
constexpr size_t kZeroBuffer = 1 << 20;

bool is_block_aligned(uint64_t offset, const void* memory) {
  return offset % kBlock == 0 && reinterpret_cast<uintptr_t>(memory) % kBlock == 0;
}

// As much as there is; less only at the end of a file. False, with errno, on failure.
bool read_fully(int fd, uint64_t offset, base::MutableByteView out, size_t& count) {
  for (count = 0; count < out.size();) {
    ssize_t got =
        ::pread(fd, out.data() + count, out.size() - count, static_cast<off_t>(offset + count));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    count += static_cast<size_t>(got);
    // After a short read the next position need not be a block's.
    if (got == 0 || count % kBlock != 0) break;
  }
  return true;
}

bool write_fully(int fd, uint64_t offset, base::ByteView bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return true;
}

[[noreturn]] void throw_in_use(const std::string& path, const std::vector<std::string>& uses) {
  std::string all;
  for (const std::string& use : uses) all += (all.empty() ? "" : "; ") + use;
  throw Error(ErrorCode::busy,
              fmt::format("{} is in use: {}. Nothing was written; end that use first, or choose "
                          "another target",
                          path, all));
}

base::UniqueFd open_exclusively(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) throw base::system_error(errno, "cannot look at " + path);
  if (S_ISDIR(status.st_mode))
    throw Error(ErrorCode::invalid_argument, path + " is a folder: name a file in it");
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument, path + " is neither a file nor a block device");
  }
  // For whom it is busy is said by find_uses(), which looks only; the exclusive open decides.
  if (S_ISBLK(status.st_mode)) {
    base::UniqueFd look(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::string> uses;
    if (look) uses = find_uses(look.get());
    if (!uses.empty()) throw_in_use(path, uses);
  }
  int exclusive = S_ISBLK(status.st_mode) ? O_EXCL : 0;
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | exclusive));
  if (!fd && errno == EBUSY) throw_in_use(path, {"the kernel has it claimed"});
  if (!fd) throw base::system_error(errno, "cannot open " + path + " for writing");
  // Somebody may have put another file there meanwhile: a device would not be open exclusively.
  struct stat opened;
  if (::fstat(fd.get(), &opened) != 0 || opened.st_dev != status.st_dev ||
      opened.st_ino != status.st_ino || opened.st_mode != status.st_mode)
    throw_in_use(path, {"it was replaced while it was being opened"});
  return fd;
}

}  // namespace

Target Target::open(const std::string& path, TargetAccess access) {
  return Target(path, open_exclusively(path), access);
}

Target Target::create(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!fd) throw base::system_error(errno, "cannot make " + path);
  return Target(path, std::move(fd), TargetAccess::direct);
}

Target::Target(std::string path, base::UniqueFd fd, TargetAccess access)
    : path_(std::move(path)), fd_(std::move(fd)) {
  struct stat status;
  if (::fstat(fd_.get(), &status) != 0) throw base::system_error(errno, "cannot examine " + path_);
  // What is open decides, whatever the path led to before.
  if (S_ISBLK(status.st_mode)) {
    kind_ = TargetKind::device;
    if (::ioctl(fd_.get(), BLKGETSIZE64, &size_) != 0)
      throw base::system_error(errno, "cannot measure " + path_);
  } else if (S_ISREG(status.st_mode)) {
    size_ = static_cast<uint64_t>(status.st_size);
  } else {
    throw Error(ErrorCode::invalid_argument, path_ + " is neither a file nor a block device");
  }
  std::vector<std::string> uses = find_uses(fd_.get());
  if (!uses.empty()) throw_in_use(path_, uses);
  take_qemu_locks();
  if (access == TargetAccess::direct) open_direct();
}

// The bytes on which QEMU keeps its locks: held shared, a QEMU that comes later finds every
// permission it asks for forbidden. The locks end with the descriptor. A file system without locks
// has none: then only the look before has protected.
void Target::take_qemu_locks() {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 100;
  lock.l_len = 200;
  if (::fcntl(fd_.get(), F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES))
    throw_in_use(path_, {"a program has it locked"});
}

void Target::open_direct() {
  std::string again = fmt::format("/proc/self/fd/{}", fd_.get());
  base::UniqueFd direct(::open(again.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT));
  if (!direct) return;
  base::AlignedBuffer buffer(kBlock);
  base::MutableByteView block = buffer.first(kBlock);
  size_t count = 0;
  if (size_ == 0 || read_fully(direct.get(), 0, block, count)) direct_ = std::move(direct);
}

void Target::resize(uint64_t size) {
  if (kind_ == TargetKind::device) {
    CHECK(size_ >= size);
    return;
  }
  if (size_ == size) return;
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
    throw base::system_error(errno,
                             fmt::format("{} cannot be {} large", path_, base::format_size(size)));
  }
  size_ = size;
}

std::vector<images::Extent> Target::extents(uint64_t offset, uint64_t length) const {
  CHECK(offset <= size_ && length <= size_ - offset);
  std::vector<images::Extent> found;
  const uint64_t end = offset + length;
  auto add = [&](uint64_t until, images::ExtentKind kind) {
    until = std::min(until, end);
    if (until > offset) found.push_back({offset, until - offset, kind});
    offset = std::max(offset, until);
  };
  while (offset < end) {
    if (kind_ == TargetKind::device) {
      add(end, images::ExtentKind::data);
      break;
    }
    off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0) {
      // ENXIO: no data up to the end. Else the file system cannot tell: everything is read.
      add(end, errno == ENXIO ? images::ExtentKind::zero : images::ExtentKind::data);
      break;
    }
    add(static_cast<uint64_t>(data), images::ExtentKind::zero);
    if (offset >= end) break;
    off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
    add(hole > data ? static_cast<uint64_t>(hole) : end, images::ExtentKind::data);
  }
  return found;
}

void Target::read(uint64_t offset, base::MutableByteView out) const {
  CHECK(offset <= size_ && out.size() <= size_ - offset);
  const size_t wanted = out.size();
  size_t done = 0;
  if (direct_ && is_block_aligned(offset, out.data())) {
    size_t whole = wanted / kBlock * kBlock;
    // A device whose blocks are larger refuses: the cache reads it then.
    if (whole > 0 && read_fully(direct_.get(), offset, out.first(whole), done)) {
      if (done < whole) done = done / kBlock * kBlock;
    } else if (whole > 0 && errno != EINVAL) {
      throw base::system_error(errno, fmt::format("cannot read {} at {}", path_, offset));
    } else {
      done = 0;
    }
  }
  while (done < wanted) {
    size_t count = 0;
    if (!read_fully(fd_.get(), offset + done, out.subspan(done), count))
      throw base::system_error(errno, fmt::format("cannot read {} at {}", path_, offset + done));
    if (count == 0)
      throw Error(ErrorCode::io, path_ + " became shorter while it was being written");
    done += count;
  }
}

void Target::write(uint64_t offset, base::ByteView bytes) {
  CHECK(offset <= size_ && bytes.size() <= size_ - offset);
  bool good = true;
  if (direct_ && is_block_aligned(offset, bytes.data())) {
    base::ByteView whole = bytes.first(bytes.size() / kBlock * kBlock);
    good = write_fully(direct_.get(), offset, whole);
    if (!good && errno != EINVAL)
      throw base::system_error(errno, fmt::format("cannot write {} at {}", path_, offset));
    if (good) {
      bytes = bytes.subspan(whole.size());
      offset += whole.size();
    }
  }
  if (!write_fully(fd_.get(), offset, bytes))
    throw base::system_error(errno, fmt::format("cannot write {} at {}", path_, offset));
}

void Target::write_zeros(uint64_t offset, uint64_t length) {
  CHECK(offset <= size_ && length <= size_ - offset);
  // Both promise zeros: of a device, the kernel writes them if its hardware does not.
  int mode = kind_ == TargetKind::file ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
  if (::fallocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) == 0)
    return;
  base::AlignedBuffer buffer(kZeroBuffer);
  base::MutableByteView zeros = buffer.first(kZeroBuffer);
  std::fill(zeros.begin(), zeros.end(), uint8_t{0});
  for (uint64_t done = 0; done < length;) {
    uint64_t size = std::min<uint64_t>(kZeroBuffer, length - done);
    write(offset + done, zeros.first(size));
    done += size;
  }
}

void Target::sync() {
  if (::fsync(fd_.get()) != 0) throw base::system_error(errno, "cannot make durable " + path_);
}

void Target::drop_cache() { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

}  // namespace restore
