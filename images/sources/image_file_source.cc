#include "images/sources/image_file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/sources/differencing_chain.h"
#include "images/sources/image_chain.h"
#include "images/sources/image_headers.h"
#include "images/sources/nbd_disk_source.h"
#include "images/sources/raw_disk_source.h"

namespace images {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(20);
constexpr auto kInfoTimeout = std::chrono::seconds(60);
constexpr auto kStartPoll = std::chrono::milliseconds(3);
constexpr uint64_t kMaxComplaintSize = 1u << 20;

// The format in which to read `path`. If it was not stated: raw, unless something contradicts that.
std::string format_to_read(const std::string& path, const ImageOptions& options) {
  if (!options.format.empty()) return options.format == "vhd" ? "vpc" : options.format;
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode)) return "raw";  // what is not a device either is refused later
  if (auto format = image_format_it_looks_like(file.get())) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("{0} begins like a {1} image, but a guest can also write that to its raw "
                    "disk; state which it is: --format {1} or --format raw (image_format in the "
                    "agent's settings)",
                    path, *format));
  }
  return "raw";
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

ImageChain find_chain(const std::string& path, const std::string& format,
                      const ImageOptions& options) {
  return find_image_chain(path, format,
                          {.allowed = options.allowed,
                           .share_with_writers = options.share_with_writers,
                           .part_offset = options.part_offset,
                           .part_size = options.part_size});
}

// On a kernel that does not allow users to create user namespaces, a user other than root runs it
// without a jail, and with a warning. The program has no more rights than that user, and still
// follows no other name.
bool must_do_without_jail(const base::FileJail& jail) {
  if (::geteuid() == 0) return false;
  static const bool works = [&] {
    try {
      return base::run_command({"true"}, kStartTimeout, &jail).status == 0;
    } catch (const base::Error& error) {
      base::log().warn("images are read by a program with all of this user's rights: {}",
                       error.message());
      return false;
    }
  }();
  return !works;
}

base::UniqueFd listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the path of the folder is too long for a socket: " + path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  bool good = fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::listen(fd.get(), SOMAXCONN) == 0;
  if (!good) throw base::system_error(errno, "cannot listen on " + path);
  return fd;
}

// A qemu-nbd of our own and the disk it serves. Members are destroyed in reverse: connections,
// server, folder.
class ServedImage : public DiskSource {
 public:
  ServedImage(const std::string& path, const std::string& format, const ImageOptions& options)
      : scratch_(runtime_directory(options), "muletto-image"),
        chain_(find_chain(path, format, options)), server_(start(options)) {
    disk_ = connect(path, options);
  }

  std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const base::JailedFile& file : chain_.files) paths.push_back(file.place);
    return paths;
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

  // The socket is created here: the server could not create it in its jail.
  base::Subprocess start(const ImageOptions& options) const {
    std::vector<std::string> words{"qemu-nbd", "--read-only", "--persistent",
                                   fmt::format("--shared={}", options.connection_count + 2)};
    if (!options.dirty_bitmap.empty()) words.push_back("--bitmap=" + options.dirty_bitmap);
    words.push_back(chain_.name);
    base::UniqueFd socket = listen_on(socket_path());
    base::FileJail jail(chain_.files);
    base::SubprocessOptions how{.output_path = log_path(), .listening_fd = socket.get()};
    if (!must_do_without_jail(jail)) how.jail = &jail;
    return base::Subprocess(words, how);
  }

  // Connecting succeeds before qemu-nbd has opened the image: only a complete handshake counts.
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
  ImageChain chain_;
  base::Subprocess server_;
  std::unique_ptr<NbdDiskSource> disk_;
};

}  // namespace

ImageSource open_image_source(const std::string& path, const ImageOptions& options) {
  ImageSource source;
  source.format = format_to_read(path, options);
  bool is_whole_file = options.part_size == 0;
  if (is_whole_file && (source.format == "vpc" || source.format == "vhdx")) {
    if (auto chain = open_differencing_chain(path, source.format, options.allowed)) {
      source.disk = std::move(chain->disk);
      source.files = std::move(chain->files);
      return source;
    }
  }
  if (source.format == "raw" && is_whole_file) {
    auto disk = std::make_unique<RawDiskSource>(path);
    if (!options.share_with_writers && disk->has_writer()) refuse_busy(path);
    source.disk = std::move(disk);
    source.files.push_back(path);
  } else {
    auto served = std::make_unique<ServedImage>(path, source.format, options);
    source.files = served->files();
    source.disk = std::move(served);
  }
  return source;
}

namespace {

// As qemu-img, which runs in a jail, describes the bitmaps of the first image of the chain: an array.
nlohmann::json bitmaps_of(const std::string& path, const ImageChain& chain) {
  base::FileJail jail(chain.files);
  base::CommandResult told =
      base::run_command({"qemu-img", "info", "--output=json", chain.name}, kInfoTimeout,
                        must_do_without_jail(jail) ? nullptr : &jail);
  if (told.status != 0) {
    throw base::Error(base::ErrorCode::io,
                      fmt::format("cannot examine {}: {}", path, base::trim(told.errors)));
  }
  auto json = nlohmann::json::parse(told.output, nullptr, false);
  if (!json.is_object()) return nlohmann::json::array();
  return json.value("/format-specific/data/bitmaps"_json_pointer, nlohmann::json::array());
}

}  // namespace

std::vector<std::string> bitmap_names(const std::string& path, const ImageOptions& options) {
  std::vector<std::string> names;
  for (const auto& entry : bitmaps_of(path, find_chain(path, "qcow2", options))) {
    auto name = entry.is_object() ? entry.value("name", nlohmann::json()) : nlohmann::json();
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

bool has_sound_bitmap(const std::string& path, const std::string& bitmap,
                      const ImageOptions& options) {
  ImageChain chain = find_chain(path, "qcow2", options);
  // In an image that builds on another, the bitmap that QEMU finds may be the lower one's, which
  // does not include the upper one's writes.
  if (chain.has_base) return false;
  for (const auto& entry : bitmaps_of(path, chain)) {
    if (!entry.is_object() || entry.value("name", nlohmann::json()) != bitmap) continue;
    auto flags = entry.value("flags", nlohmann::json::array());
    auto has = [&](const char* flag) {
      return std::find(flags.begin(), flags.end(), flag) != flags.end();
    };
    // Without "auto" nothing is recorded in it: it was switched off.
    return has("auto") && !has("in-use");
  }
  return false;
}

std::map<std::string, std::string> formats_of_disks(const std::vector<std::string>& words,
                                                    const std::vector<std::string>& disks) {
  std::map<std::string, std::string> formats;
  std::string of_all;
  auto refuse = [](const std::string& message) {
    throw base::Error(base::ErrorCode::invalid_argument, message);
  };
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    std::string disk = equals == std::string::npos ? "" : word.substr(0, equals);
    std::string format = equals == std::string::npos ? word : word.substr(equals + 1);
    if (format.empty())
      refuse("--format '" + word + "' is not a format; there are " + known_image_formats());
    std::string& place = disk.empty() ? of_all : formats[disk];
    if (!place.empty()) refuse("--format states twice what it is: '" + word + "'");
    place = format;
    if (!disk.empty() && std::find(disks.begin(), disks.end(), disk) == disks.end())
      refuse("--format '" + word + "' is of a disk that is not given");
  }
  for (const std::string& disk : disks) {
    if (!formats.contains(disk)) formats[disk] = of_all;
  }
  return formats;
}

}  // namespace images
