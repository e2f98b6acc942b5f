#include "images/image_file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/nbd_disk_source.h"
#include "images/raw_disk_source.h"

namespace images {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(20);
constexpr auto kStartPoll = std::chrono::milliseconds(3);
constexpr uint64_t kMaxComplaintSize = 1u << 20;

struct ImageFacts {
  std::string format;
  std::string builds_on;  // a backing file or an external data file; empty: none
  bool encrypted = false;
};

// QEMU takes "word:…" for a protocol; an absolute path is a file whatever it holds.
std::string absolute_path(const std::string& path) {
  base::UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(readable.get(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      path + " is neither a file nor a block device");
  }
  return std::filesystem::absolute(path).string();
}

ImageFacts detect(const std::string& path) {
  std::string output =
      base::run_checked({"qemu-img", "info", "--force-share", "--output=json", path});
  auto json = nlohmann::json::parse(output, nullptr, false);
  if (!json.is_object() || !json["format"].is_string()) {
    throw base::Error(base::ErrorCode::unsupported, "qemu-img does not tell the format of " + path);
  }
  ImageFacts facts;
  facts.format = json["format"];
  facts.encrypted = json.value("encrypted", false);
  facts.builds_on = json.value("backing-filename", "");
  auto specific = json.value("/format-specific/data"_json_pointer, nlohmann::json::object());
  if (facts.builds_on.empty()) facts.builds_on = specific.value("data-file", "");
  return facts;
}

// The format to read `path` as, when nobody told it.
std::string safe_detected_format(const std::string& path) {
  ImageFacts facts = detect(path);
  if (facts.encrypted) {
    throw base::Error(base::ErrorCode::unsupported,
                      path + " is encrypted: its content cannot be read");
  }
  if (!facts.builds_on.empty()) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("{} looks like a {} image that builds on {}; if it is one, give its format",
                    path, facts.format, facts.builds_on));
  }
  if (facts.format != "raw")
    base::log().info("{} is read as {}, by its content", path, facts.format);
  return facts.format;
}

[[noreturn]] void refuse_busy(const std::string& path) {
  throw base::Error(
      base::ErrorCode::busy,
      fmt::format("{} is being written to by another program; capture a running machine as a "
                  "machine, not by its files",
                  path));
}

[[noreturn]] void fail_to_serve(const std::string& path, const std::string& log_path) {
  base::Bytes log = base::read_file(base::real_file_system(), log_path, kMaxComplaintSize);
  std::string words = base::trim(base::as_text(log));
  if (words.find(" lock") != std::string::npos) refuse_busy(path);
  throw base::Error(base::ErrorCode::unsupported,
                    fmt::format("cannot read the image {}: {}", path, words));
}

// What a qcow2 image is opened with. It is read from front to back: QEMU's own choice, pieces of 4
// KiB of its tables in a cache of 32 MiB that is searched from end to end, means a piece read for
// every change of a large disk (docs/performance.md). Empty if the header is not as it should be,
// which QEMU says better. The layout: QEMU's docs/interop/qcow2.txt.
std::string table_cache_options(const std::string& path) {
  constexpr uint32_t kMagic = 0x514649fb;  // "QFI", 0xfb
  constexpr uint64_t kLargestPiece = 65536;
  constexpr uint32_t kMinClusterBits = 9, kMaxClusterBits = 21;
  std::array<uint8_t, 24> header{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(header.data()), header.size())) return "";
  auto big_endian = [&](size_t at) {
    return uint32_t{header[at]} << 24 | uint32_t{header[at + 1]} << 16 |
           uint32_t{header[at + 2]} << 8 | uint32_t{header[at + 3]};
  };
  uint32_t cluster_bits = big_endian(20);
  if (big_endian(0) != kMagic || cluster_bits < kMinClusterBits || cluster_bits > kMaxClusterBits)
    return "";
  return fmt::format(",l2-cache-size=1M,l2-cache-entry-size={}",
                     std::min(kLargestPiece, uint64_t{1} << cluster_bits));
}

// A qemu-nbd of our own and the disk it serves. Members end in reverse: connections, server,
// folder.
class ServedImage : public DiskSource {
 public:
  ServedImage(const std::string& path, const std::string& format, const ImageOptions& options)
      : scratch_(runtime_directory(options), "muletto-image"),
        server_(command(path, format, options), {.output_path = log_path()}) {
    disk_ = connect(path, options);
  }

  uint64_t size() const override { return disk_->size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return disk_->extents(offset, length);
  }
  void read(uint64_t offset, base::MutableByteView out) override { disk_->read(offset, out); }

 private:
  static std::string runtime_directory(const ImageOptions& options) {
    if (!options.runtime_directory.empty()) return options.runtime_directory;
    return std::filesystem::temp_directory_path().string();
  }

  std::string socket_path() const { return scratch_.path() + "/nbd.sock"; }
  std::string log_path() const { return scratch_.path() + "/log"; }

  std::vector<std::string> command(const std::string& path, const std::string& format,
                                   const ImageOptions& options) const {
    if (socket_path().size() >= sizeof(sockaddr_un::sun_path)) {
      throw base::Error(
          base::ErrorCode::invalid_argument,
          fmt::format("the path of the folder {} is too long for a socket", scratch_.path()));
    }
    // An option string, in which a comma is written twice.
    std::string name;
    for (char c : path) name += c == ',' ? std::string(",,") : std::string(1, c);
    std::vector<std::string> words{"qemu-nbd", "--read-only", "--persistent",
                                   "--socket=" + socket_path(),
                                   fmt::format("--shared={}", options.connection_count + 2)};
    if (!options.dirty_bitmap.empty()) words.push_back("--bitmap=" + options.dirty_bitmap);
    words.push_back("--image-opts");
    words.push_back(fmt::format("driver={},file.driver={},file.filename={}{}{}", format,
                                std::filesystem::is_block_file(path) ? "host_device" : "file", name,
                                options.share_with_writers ? ",force-share=on" : "",
                                format == "qcow2" ? table_cache_options(path) : ""));
    return words;
  }

  // qemu-nbd listens before it opens the image: what counts is a whole handshake.
  std::unique_ptr<NbdDiskSource> connect(const std::string& path, const ImageOptions& options) {
    auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
    while (true) {
      try {
        return std::make_unique<NbdDiskSource>(
            NbdOptions{.socket_path = socket_path(),
                       .dirty_bitmap = options.dirty_bitmap,
                       .connection_count = options.connection_count});
      } catch (const base::Error& error) {
        bool late = std::chrono::steady_clock::now() > deadline;
        if (error.code() != base::ErrorCode::unavailable || late) throw error.with_context(path);
      }
      if (server_.wait_for(kStartPoll)) fail_to_serve(path, log_path());
    }
  }

  base::ScratchDirectory scratch_;
  base::Subprocess server_;
  std::unique_ptr<NbdDiskSource> disk_;
};

}  // namespace

ImageSource open_image_source(const std::string& path, const ImageOptions& options) {
  ImageSource source;
  std::string absolute = absolute_path(path);
  source.detected = options.format.empty();
  source.format = source.detected ? safe_detected_format(absolute) : options.format;
  if (source.format == "raw") {
    auto disk = std::make_unique<RawDiskSource>(absolute);
    if (!options.share_with_writers && disk->has_writer()) refuse_busy(path);
    source.disk = std::move(disk);
  } else {
    source.disk = std::make_unique<ServedImage>(absolute, source.format, options);
  }
  return source;
}

}  // namespace images
