// muletto-volumes FILE: finds the volumes in FILE, in which a point's disks lie one after the other.
// Standard input is the question (volume_search.h), which holds the keys, and standard output the
// answer. The appliance runs it confined (base/confinement.h). It can do no harm because it has no
// privileges, not because it is free of bugs.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "images/volumes/keys/volume_search.h"

namespace {

using namespace images::volumes;

constexpr size_t kMaxQuestion = 4 << 20;  // bytes

// A part of the file, as a disk.
class DiskInFile : public images::DiskSource {
 public:
  DiskInFile(int fd, uint64_t begin, uint64_t size) : fd_(fd), begin_(begin), size_(size) {}

  uint64_t size() const override { return size_; }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, images::ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    while (!out.empty()) {
      ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(begin_ + offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) throw base::Error(base::ErrorCode::io, "a part of the disk cannot be read");
      offset += static_cast<uint64_t>(count);
      out = out.subspan(static_cast<size_t>(count));
    }
  }

 private:
  const int fd_;
  const uint64_t begin_, size_;
};

base::Bytes read_question() {
  base::Bytes bytes;
  std::vector<uint8_t> buffer(64 << 10);
  size_t count;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0) {
    if (bytes.size() + count > kMaxQuestion)
      throw base::Error(base::ErrorCode::corrupt, "the question about volumes is too long");
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(count));
  }
  return bytes;
}

base::Bytes answer(const char* path) {
  Question question = unpack_question(read_question());
  base::UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw base::Error(base::ErrorCode::io, "the disks cannot be opened");
  std::vector<std::unique_ptr<DiskInFile>> owned;
  std::vector<images::DiskSource*> disks;
  uint64_t begin = 0;
  for (uint64_t size : question.disk_sizes) {
    owned.push_back(std::make_unique<DiskInFile>(file.get(), begin, size));
    disks.push_back(owned.back().get());
    begin += size;
  }
  return pack_found(find_volumes(disks, question));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: muletto-volumes FILE < QUESTION\n", stderr);
    return 2;
  }
  try {
    base::Bytes bytes = answer(arguments[1]);
    bool written = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
    return written && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
