#include "images/sources/image_chain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/sources/image_headers.h"
#include "images/sources/vmdk_check.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kMaxDepth = 64;   // an image, its base, that one's base, …
constexpr size_t kMaxFiles = 512;  // each is an open descriptor
constexpr size_t kMaxPath = 4096;  // bytes
constexpr size_t kMaxShown = 200;  // bytes of a name

constexpr std::array<std::string_view, 9> kFormats{"raw", "qcow2", "qcow", "qed",      "vmdk",
                                                   "vpc", "vhdx",  "vdi",  "parallels"};

std::string checked_format(const std::string& format) {
  std::string name = format == "vhd" ? "vpc" : format;
  // How old images call a base that is a plain file or device.
  if (name == "file" || name == "host_device") name = "raw";
  if (std::find(kFormats.begin(), kFormats.end(), name) != kFormats.end()) return name;
  throw Error(ErrorCode::unsupported, fmt::format("'{}' is not an image format; there are {}",
                                                  format, known_image_formats()));
}

// As QEMU interprets it: "word:…" is a protocol, not a file name.
bool names_protocol(std::string_view name) {
  size_t colon = name.find(':');
  return colon != std::string_view::npos && name.find('/') > colon;
}

// Is it `folder` or below, with no name on the way that begins with a dot?
bool lies_below(const fs::path& path, const fs::path& folder) {
  auto [rest, at] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  if (rest != folder.end() && !(rest->empty() && std::next(rest) == folder.end())) return false;
  return std::none_of(at, path.end(),
                      [](const fs::path& name) { return name.string().starts_with('.'); });
}

struct OpenFile {
  base::UniqueFd fd;
  std::string path;  // its real path, without links
  bool is_device = false;
};

OpenFile open_file(const std::string& path) {
  // Do not wait for a writer to a pipe.
  OpenFile file{base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), ""};
  if (!file.fd) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(file.fd.get(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument, path + " is neither a file nor a block device");
  }
  file.is_device = S_ISBLK(status.st_mode);
  std::error_code failed;
  file.path = fs::read_symlink(fmt::format("/proc/self/fd/{}", file.fd.get()), failed).string();
  if (failed || !file.path.starts_with('/') || file.path.size() > kMaxPath)
    throw Error(ErrorCode::io, "cannot find out where " + path + " lies");
  return file;
}

// Walks from an image to everything that belongs to it. Used once.
class ChainFinder {
 public:
  explicit ChainFinder(const ImageChainOptions& options) : options_(options) {
    for (const std::string& name : options.allowed) {
      std::error_code failed;
      fs::path path = fs::canonical(name, failed);
      if (failed) throw base::system_error(failed.value(), "cannot find the allowed file " + name);
      allowed_.push_back(path);
    }
  }

  ImageChain find(const std::string& path, const std::string& format) {
    OpenFile top = open_file(path);
    // The folder of a device is the system's, and next to it are other machines' disks.
    if (!top.is_device) folder_ = fs::path(top.path).parent_path();
    json node = image(std::move(top), format, 0);
    if (options_.share_with_writers) node["force-share"] = true;
    try {
      chain_.name = "json:" + node.dump();
    } catch (const json::exception&) {
      throw Error(ErrorCode::unsupported, path + ": QEMU accepts only paths that are UTF-8");
    }
    return std::move(chain_);
  }

 private:
  json image(OpenFile file, const std::string& format, size_t depth) {
    std::string driver = checked_format(format);
    std::string path = file.path;
    require_new(file, depth);
    FilePart part{file.fd.get()};
    bool is_member = depth == 0 && options_.part_size != 0;
    if (is_member) part = {file.fd.get(), options_.part_offset, options_.part_size};
    ImageReferences references = read_references(part, driver, path);
    if (is_member) require_no_references(references, path);
    json node{{"driver", driver}, {"file", keep(std::move(file), path)}};
    if (is_member) {
      node["file"] = {{"driver", "raw"},
                      {"offset", options_.part_offset},
                      {"size", options_.part_size},
                      {"file", node["file"]}};
    }
    if (references.qcow2_cluster_size != 0) set_table_cache(node, references.qcow2_cluster_size);
    for (size_t i = 0; i < references.extents.size(); ++i) {
      auto [extent, place] = open_reference(path, references.extents[i], "has its content in");
      require_whole_extent(extent, references.extent_sizes[i]);
      keep(std::move(extent), place);
    }
    if (!references.data_file.empty()) {
      OpenFile data = open_reference(path, references.data_file, "has its content in").first;
      std::string place = data.path;
      node["data-file"] = keep(std::move(data), place);
    }
    node["backing"] = nullptr;
    if (references.base.empty()) return node;
    if (depth == 0) chain_.has_base = true;
    if (references.base_format.empty()) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{0} is built on {1} and does not state that file's format, which is never "
                      "guessed; record it: qemu-img rebase -u -F FORMAT -b {1} {0}",
                      path, references.base));
    }
    node["backing"] = image(open_reference(path, references.base, "is built on").first,
                            references.base_format, depth + 1);
    return node;
  }

  // Names in an archive's member would be looked for in the folder of the archive.
  static void require_no_references(const ImageReferences& found, const std::string& path) {
    const std::string* other = !found.base.empty()        ? &found.base
                               : !found.data_file.empty() ? &found.data_file
                               : !found.extents.empty()   ? &found.extents.front()
                                                          : nullptr;
    if (other == nullptr) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("a disk in {} has its content in another file, {}; extract the archive "
                            "and import what is in it",
                            path, base::clean_text(*other, kMaxShown)));
  }

  // QEMU reads what is missing at the end of an extent as zeros.
  static void require_whole_extent(const OpenFile& extent, uint64_t size) {
    FilePart part{extent.fd.get()};
    if (size == 0) return require_whole_sparse_vmdk(part, extent.path);
    if (size_of(part) >= size) return;
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is cut off: it has {} bytes of {}. Copy or export it again",
                            extent.path, size_of(part), size));
  }

  void require_new(const OpenFile& file, size_t depth) {
    if (depth >= kMaxDepth || !seen_.insert(file.path).second) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{} comes twice in the chain of its images, or the chain is longer "
                              "than {}",
                              file.path, kMaxDepth));
    }
  }

  // Opens what `image` refers to; also returns the path under which QEMU will look for it.
  std::pair<OpenFile, std::string> open_reference(const std::string& image, const std::string& name,
                                                  const char* relation) {
    auto refuse = [&](std::string_view reason) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{} {} {}, {}", image, relation, name, reason));
    };
    if (names_protocol(name)) refuse("which is not the name of a file");
    fs::path place = (fs::path(image).parent_path() / name).lexically_normal();
    // Before it is opened: opening alone can have effects on a device.
    std::error_code failed;
    fs::path real = fs::canonical(place, failed);
    if (failed) refuse("which cannot be opened: " + failed.message());
    if (!is_allowed(real)) {
      refuse(
          fmt::format("which is not in its folder; if that is meant, allow it: --allow {} (allow "
                      "in the agent's settings)",
                      real.string()));
    }
    OpenFile file = open_file(real.string());
    if (!is_allowed(file.path)) refuse("which was replaced while it was opened");
    return {std::move(file), place.string()};
  }

  bool is_allowed(const fs::path& path) const {
    if (!folder_.empty() && folder_ != "/" && lies_below(path, folder_)) return true;
    return std::any_of(allowed_.begin(), allowed_.end(),
                       [&](const fs::path& allowed) { return lies_below(path, allowed); });
  }

  json keep(OpenFile file, const std::string& place) {
    if (chain_.files.size() >= kMaxFiles) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{} belongs to an image of more than {} files", file.path, kMaxFiles));
    }
    chain_.files.push_back({file.fd.get(), place});
    chain_.descriptors.push_back(std::move(file.fd));
    return {{"driver", file.is_device ? "host_device" : "file"}, {"filename", place}};
  }

  // An image is read sequentially. QEMU's default, pieces of 4 KiB of its tables in a cache of 32
  // MiB that is searched linearly, means one read for every change of a large disk
  // (docs/performance.md).
  static void set_table_cache(json& node, uint64_t cluster_size) {
    constexpr uint64_t kCacheSize = 1 << 20, kLargestPiece = 65536;
    node["l2-cache-size"] = kCacheSize;
    node["l2-cache-entry-size"] = std::min(kLargestPiece, cluster_size);
  }

  const ImageChainOptions& options_;
  std::vector<fs::path> allowed_;
  fs::path folder_;  // of the image; empty: it is a device
  std::set<std::string> seen_;
  ImageChain chain_;
};

}  // namespace

std::string known_image_formats() { return fmt::format("{}", fmt::join(kFormats, ", ")); }

ImageChain find_image_chain(const std::string& path, const std::string& format,
                            const ImageChainOptions& options) {
  return ChainFinder(options).find(path, format);
}

}  // namespace images
