#include "images/sources/differencing_chain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/check.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "images/sources/image_locks.h"
#include "images/sources/vhd_layer.h"
#include "images/sources/vhdx_layer.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxShown = 200;            // bytes of a name
constexpr size_t kMaxFolderEntries = 65536;  // that are compared

struct OpenLayer {
  base::UniqueFd fd;
  std::string path;
  std::unique_ptr<ImageLayer> layer;
};

// The disk that a chain of files makes up; the first one's content comes first.
class ChainSource : public DiskSource {
 public:
  explicit ChainSource(std::vector<OpenLayer> layers) : layers_(std::move(layers)) {}

  uint64_t size() const override { return layers_.front().layer->size(); }

  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    CHECK(offset <= size() && length <= size() - offset);
    std::vector<Extent> found;
    for (uint64_t end = offset + length; offset < end;) {
      Place place = place_of(offset, end);
      ExtentKind kind = place.fd < 0 ? ExtentKind::zero : ExtentKind::data;
      if (!found.empty() && found.back().kind == kind) found.back().length += place.length;
      else found.push_back({offset, place.length, kind});
      offset += place.length;
    }
    return found;
  }

  void read(uint64_t offset, base::MutableByteView out) override {
    CHECK(offset <= size() && out.size() <= size() - offset);
    while (!out.empty()) {
      Place place = place_of(offset, offset + out.size());
      base::MutableByteView piece = out.first(place.length);
      if (place.fd < 0) std::fill(piece.begin(), piece.end(), uint8_t{0});
      else read_here(place, piece);
      out = out.subspan(place.length);
      offset += place.length;
    }
  }

 private:
  struct Place {
    uint64_t length = 0;
    int fd = -1;  // -1: zeros
    uint64_t file_offset = 0;
    const std::string* path = nullptr;
  };

  Place place_of(uint64_t offset, uint64_t end) const {
    for (const OpenLayer& each : layers_) {
      // A disk can be larger than the one it is based on.
      if (offset >= each.layer->size()) return {end - offset, -1, 0, nullptr};
      end = std::min(end, each.layer->size());
      LayerRun run = each.layer->run_at(offset, end);
      CHECK(run.length > 0 && run.length <= end - offset);
      end = offset + run.length;
      if (run.content == LayerContent::zero) break;
      if (run.content == LayerContent::here)
        return {run.length, each.fd.get(), run.file_offset, &each.path};
    }
    return {end - offset, -1, 0, nullptr};
  }

  static void read_here(const Place& place, base::MutableByteView out) {
    for (uint64_t at = place.file_offset; !out.empty();) {
      ssize_t count = ::pread(place.fd, out.data(), out.size(), static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw base::system_error(errno, "cannot read " + *place.path);
      if (count == 0)
        throw Error(ErrorCode::io, *place.path + " became shorter while it was being read");
      out = out.subspan(static_cast<size_t>(count));
      at += static_cast<uint64_t>(count);
    }
  }

  std::vector<OpenLayer> layers_;
};

// "C:\VMs\base.vhdx" and "./base.vhdx" are both "base.vhdx".
std::string last_part(const std::string& name) {
  size_t slash = name.find_last_of("/\\");
  std::string part = slash == std::string::npos ? name : name.substr(slash + 1);
  return part == "." || part == ".." ? "" : part;
}

OpenLayer open_layer(const std::string& path, const std::string& format) {
  OpenLayer open;
  open.fd = base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!open.fd) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(open.fd.get(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::invalid_argument, path + " is not a file");
  if (has_qemu_writer(open.fd.get()))
    throw Error(ErrorCode::busy, path + " is being written to by another program");
  open.path = path;
  FilePart part{open.fd.get()};
  open.layer = format == "vpc" ? open_vhd_layer(part, path) : open_vhdx_layer(part, path);
  if (!open.layer) {
    throw Error(ErrorCode::unsupported, fmt::format("{} is not a {} file, or a damaged one", path,
                                                    format == "vpc" ? "VHD" : "VHDX"));
  }
  return open;
}

const char* kind_of(const std::string& format) { return format == "vpc" ? "VHD" : "VHDX"; }

std::string shown(const ParentLink& link) {
  return link.names.empty() ? "another file" : base::clean_text(link.names.front(), kMaxShown);
}

// The file of that name in a folder, or one whose name differs only in case.
std::optional<fs::path> find_in(const fs::path& folder, const std::string& name) {
  std::error_code failed;
  if (fs::is_regular_file(folder / name, failed)) return folder / name;
  size_t count = 0;
  for (fs::directory_iterator each(folder, failed), end; !failed && each != end;
       each.increment(failed)) {
    if (++count > kMaxFolderEntries) break;
    if (::strcasecmp(each->path().filename().c_str(), name.c_str()) == 0) return each->path();
  }
  return std::nullopt;
}

// Where parents may be: the child's folder, then what a person allowed.
std::string find_parent(const std::string& child, const ParentLink& link, const std::string& format,
                        const std::vector<std::string>& allowed) {
  std::error_code unknown;
  fs::path folder = fs::canonical(child, unknown).parent_path();
  if (unknown) throw base::system_error(unknown.value(), "cannot find " + child);
  std::vector<fs::path> folders{folder};
  for (const std::string& name : link.names) {
    std::string last = last_part(name);
    if (last.empty() || last.find('\0') != std::string::npos) continue;
    for (const std::string& each : allowed) {
      std::error_code failed;
      fs::path place = fs::canonical(each, failed);
      if (failed) throw base::system_error(failed.value(), "cannot find the allowed file " + each);
      if (fs::is_directory(place, failed)) folders.push_back(place);
      else if (::strcasecmp(place.filename().c_str(), last.c_str()) == 0) return place.string();
    }
    for (const fs::path& each : folders) {
      auto found = find_in(each, last);
      if (!found) continue;
      fs::path real = fs::canonical(*found, unknown);
      // A link that leads elsewhere is not what lies beside the child.
      if (!unknown && real.parent_path() == each) return real.string();
    }
  }
  throw Error(
      ErrorCode::not_found,
      fmt::format("{0} is a differencing {1}: it holds only what changed since {2}, which "
                  "is not beside it. Put it there, or allow it (--allow FILE), or merge the "
                  "two (on Windows: Merge-VHD)",
                  child, kind_of(format), shown(link)));
}

void expect_parent(const OpenLayer& child, const OpenLayer& parent) {
  const ParentLink& link = *child.layer->parent();
  if (link.id == parent.layer->identity()) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("{} is not the file that {} was made from, or was changed since: together "
                  "they would be a wrong disk. Find the right one, {}",
                  parent.path, child.path, shown(link)));
}

std::optional<ParentLink> link_of(const FilePart& part, const std::string& format,
                                  const std::string& path) {
  return format == "vpc" ? parent_of_vhd(part) : parent_of_vhdx(part, path);
}

}  // namespace

std::optional<DifferencingChain> open_differencing_chain(const std::string& path,
                                                         const std::string& format,
                                                         const std::vector<std::string>& allowed) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw base::system_error(errno, "cannot open " + path);
  if (!link_of({fd.get()}, format, path)) return std::nullopt;
  std::vector<OpenLayer> layers;
  DifferencingChain chain;
  std::string next = path;
  while (true) {
    std::error_code failed;
    std::string real = fs::canonical(next, failed).string();
    bool is_repeated = std::find(chain.files.begin(), chain.files.end(), real) != chain.files.end();
    if (is_repeated || layers.size() >= kMaxDepth) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{} comes twice in the chain of its images, or the chain is longer "
                              "than {}",
                              next, kMaxDepth));
    }
    layers.push_back(open_layer(next, format));
    chain.files.push_back(real);
    if (layers.size() > 1) expect_parent(layers[layers.size() - 2], layers.back());
    const ParentLink* link = layers.back().layer->parent();
    if (layers.size() == 1 && link == nullptr) {
      throw Error(
          ErrorCode::corrupt,
          fmt::format("{} is damaged: one of its headers says that it is a differencing {}, "
                      "and the other does not",
                      path, kind_of(format)));
    }
    if (link == nullptr) break;
    next = find_parent(next, *link, format, allowed);
  }
  chain.disk = std::make_unique<ChainSource>(std::move(layers));
  return chain;
}

void refuse_differencing(const FilePart& part, const std::string& format, const std::string& path) {
  auto link = link_of(part, format, path);
  if (!link) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("{} is a differencing {}: it holds only what changed since {}. Merge the "
                          "two (on Windows: Merge-VHD) and give the merged file",
                          path, kind_of(format), shown(*link)));
}

std::vector<std::string> parent_names(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw base::system_error(errno, "cannot open " + path);
  std::vector<std::string> names;
  FilePart part{fd.get()};
  auto link = parent_of_vhdx(part, path);
  if (!link) link = parent_of_vhd(part);
  if (!link) return names;
  for (const std::string& name : link->names) names.push_back(last_part(name));
  return names;
}

}  // namespace images
