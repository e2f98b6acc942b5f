#include "appliance/api/install/package_shelf.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/unique_fd.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kPiece = 1 << 20;                  // bytes
constexpr uint64_t kMaxPackageSize = 256ull << 20;  // bytes
constexpr size_t kMaxPackages = 200;

// As Debian names packages' files: nothing that leads out of the folder, or is hidden.
bool is_package_name(std::string_view name) {
  if (name.size() > 200 || !name.ends_with(".deb") || name.starts_with('.')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".+~_-:").find(c) != std::string_view::npos;
  });
}

struct OpenFile {
  base::UniqueFd fd;
  struct stat status {};
};

// None if it is not a file of root that only root may write.
OpenFile open_file(const std::string& directory, const std::string& name) {
  OpenFile file;
  if (!is_package_name(name)) return file;
  std::string path = base::join_path(directory, name);
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd || ::fstat(fd.get(), &file.status) != 0) return file;
  bool is_safe = S_ISREG(file.status.st_mode) && (file.status.st_mode & 022) == 0 &&
                 (file.status.st_uid == 0 || file.status.st_uid == ::geteuid());
  if (is_safe && static_cast<uint64_t>(file.status.st_size) <= kMaxPackageSize)
    file.fd = std::move(fd);
  return file;
}

std::string read_piece(int fd, uint64_t offset, uint64_t size) {
  std::string piece(std::min<uint64_t>(kPiece, size - std::min(offset, size)), '\0');
  if (piece.empty()) return piece;
  ssize_t count = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
  if (count != static_cast<ssize_t>(piece.size()))
    throw Error(ErrorCode::io, "a package changed while it was read: try again");
  return piece;
}

int64_t changed_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
}

std::string sum_of(const OpenFile& file) {
  base::Sha256Stream digest;
  auto size = static_cast<uint64_t>(file.status.st_size);
  for (uint64_t at = 0; at < size;) {
    std::string piece = read_piece(file.fd.get(), at, size);
    digest.update(base::as_bytes(piece));
    at += piece.size();
  }
  return base::to_hex(digest.finish());
}

}  // namespace

std::string PackageShelf::list() {
  struct Line {
    int64_t changed_ns;
    std::string text;
  };
  std::vector<Line> lines;
  std::error_code error;
  // Held while sums are computed, so that many who ask at once compute each sum once.
  auto sums = sums_.lock();
  for (const auto& each : std::filesystem::directory_iterator(directory_, error)) {
    std::string name = each.path().filename();
    OpenFile file = open_file(directory_, name);
    if (!file.fd || lines.size() == kMaxPackages) continue;
    Known& known = (*sums)[name];
    auto size = static_cast<uint64_t>(file.status.st_size);
    if (known.sum.empty() || known.size != size || known.changed_ns != changed_ns(file.status))
      known = {size, changed_ns(file.status), sum_of(file)};
    lines.push_back({known.changed_ns, fmt::format("{}  {}\n", known.sum, name)});
  }
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.changed_ns != b.changed_ns ? a.changed_ns > b.changed_ns : a.text < b.text;
  });
  std::string text;
  for (const Line& line : lines) text += line.text;
  return text;
}

PackageShelf::Package PackageShelf::open(const std::string& name) const {
  auto file = std::make_shared<OpenFile>(open_file(directory_, name));
  if (!file->fd) throw Error(ErrorCode::not_found, "there is no such package");
  auto size = static_cast<uint64_t>(file->status.st_size);
  return {size, [file, size, offset = uint64_t{0}]() mutable {
            std::string piece = read_piece(file->fd.get(), offset, size);
            offset += piece.size();
            return piece;
          }};
}

}  // namespace appliance::api
