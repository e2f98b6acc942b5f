#include "images/export/export_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "images/sources/nbd_probe.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr const char* kPluginName = "nbdkit-muletto-plugin.so";
constexpr size_t kSocketPathLimit = sizeof(sockaddr_un::sun_path) - 1;
constexpr uint64_t kLogReadLimit = 64 << 10;
constexpr auto kLaunchTimeout = std::chrono::seconds(20);

std::vector<std::string> command_line_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return base::split(content.str(), '\0');
}

// The program that a process runs, which the process cannot fake. One that was replaced by a newer
// version still counts as the same.
bool runs_nbdkit(pid_t pid) {
  std::error_code unknown;
  std::string program =
      std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), unknown).filename().string();
  constexpr std::string_view kReplaced = " (deleted)";
  if (program.ends_with(kReplaced)) program.resize(program.size() - kReplaced.size());
  return !unknown && program == "nbdkit";
}

// True if all four user ids of the process are this process's: a set-user-id program started by
// someone else has that user's id.
bool is_of_this_user(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("Uid:")) continue;
    std::istringstream words(line.substr(4));
    uid_t id = 0;
    int count = 0;
    while (words >> id && id == ::geteuid()) ++count;
    return count == 4;
  }
  return false;
}

// The socket of the export that this process is, if it is one.
std::optional<std::string> socket_of(pid_t pid) {
  std::vector<std::string> command = command_line_of(pid);
  for (size_t i = 1; i + 1 < command.size(); ++i) {
    if (command[i] != "-U") continue;
    if (!is_of_this_user(pid) || !runs_nbdkit(pid)) return std::nullopt;
    return command[i + 1];
  }
  return std::nullopt;
}

std::vector<std::string> plugin_arguments(const ExportOptions& options) {
  if (!options.plugin_command.empty()) return options.plugin_command;
  std::vector<std::string> words{
      options.plugin_path.empty() ? default_plugin_path() : options.plugin_path,
      "store=" + options.store.location,
      "point=" + options.point,
  };
  for (const std::string& disk : options.disks) words.push_back("disk=" + disk);
  if (!options.store.key_file.empty()) words.push_back("key-file=" + options.store.key_file);
  if (!options.store.passphrase_file.empty()) {
    words.push_back("passphrase-file=" + options.store.passphrase_file);
  }
  words.push_back(fmt::format("cache-size={}", options.cache_size));
  if (options.disk_cache_size != 0) {
    words.push_back(fmt::format("disk-cache-size={}", options.disk_cache_size));
    words.push_back("cache-dir=" + options.cache_directory);
  }
  if (!options.record_trace_path.empty())
    words.push_back("record-trace=" + options.record_trace_path);
  if (!options.prefetch_trace_path.empty())
    words.push_back("prefetch-trace=" + options.prefetch_trace_path);
  return words;
}

std::vector<std::string> nbdkit_command(const ExportOptions& options) {
  std::vector<std::string> command{
      "nbdkit", "-f", "-r", "-t", std::to_string(options.thread_count), "-U", options.socket_path};
  for (std::string& word : plugin_arguments(options)) command.push_back(std::move(word));
  return command;
}

}  // namespace

// Where nbdkit's messages go, and what it has written since this object was created.
class NbdkitLog {
 public:
  explicit NbdkitLog(const std::string& path) : path_(path) {
    if (path_.empty()) {
      memory_.reset(::memfd_create("nbdkit-log", MFD_CLOEXEC));
      if (!memory_) throw base::system_error(errno, "cannot make a file in memory");
      path_ = fmt::format("/proc/self/fd/{}", memory_.get());
    }
    std::error_code ignored;
    uintmax_t size = std::filesystem::file_size(path_, ignored);
    offset_ = ignored ? 0 : size;
  }

  const std::string& path() const { return path_; }

  // As one sentence; empty if there is no message.
  std::string words() const {
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset_));
    std::string sentence, line;
    for (uint64_t read = 0; read < kLogReadLimit && std::getline(file, line); read += line.size()) {
      size_t start = line.find("error: ");
      std::string text = base::trim(start == std::string::npos ? line : line.substr(start + 7));
      if (text.empty() || sentence.find(text) != std::string::npos) continue;
      sentence += (sentence.empty() ? "" : "; ") + text;
    }
    return sentence;
  }

 private:
  std::string path_;
  base::UniqueFd memory_;
  uint64_t offset_ = 0;
};

namespace {

// Removes what an earlier export left at this path; throws if it is something else.
void clear_socket_path(const std::string& path) {
  if (path.size() > kSocketPathLimit) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("the socket's path {} is longer than {} bytes", path, kSocketPathLimit));
  }
  if (ExportProcess::find(path))
    throw Error(ErrorCode::busy, "another export already serves " + path);
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    throw Error(ErrorCode::already_exists, path + " exists and is not a socket");
  ::unlink(path.c_str());
}

// The first disk that is not served, or one that is.
NbdProbe probe_disks(const ExportOptions& options) {
  if (options.disks.empty()) return probe_nbd_export(options.socket_path, "");
  NbdProbe probe;
  for (const std::string& disk : options.disks) {
    probe = probe_nbd_export(options.socket_path, disk);
    if (probe.outcome != NbdProbe::Outcome::served) break;
  }
  return probe;
}

void give_socket(const std::string& path, uid_t owner) {
  if (::chmod(path.c_str(), 0600) != 0 ||
      ::lchown(path.c_str(), owner, static_cast<gid_t>(-1)) != 0) {
    throw base::system_error(errno,
                             fmt::format("cannot give {} to QEMU's user (id {})", path, owner));
  }
}

base::UniqueFd pin(pid_t pid) {
  return base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

std::string default_plugin_path() {
  if (const char* given = std::getenv("MULETTO_PLUGIN"); given != nullptr && *given != '\0')
    return given;
  std::error_code ignored;
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::vector<std::filesystem::path> places{
      program.parent_path() / kPluginName, program.parent_path() / "../lib/muletto" / kPluginName,
      "/usr/lib/x86_64-linux-gnu/nbdkit/plugins/" + std::string(kPluginName)};
  for (const std::filesystem::path& place : places) {
    if (std::filesystem::exists(place, ignored)) return place.lexically_normal();
  }
  throw Error(ErrorCode::not_found,
              fmt::format("{} is not beside the program, in {}: set MULETTO_PLUGIN to its path",
                          kPluginName, program.parent_path().string()));
}

ExportProcess::ExportProcess(pid_t pid, base::UniqueFd pidfd, std::string socket_path)
    : pid_(pid), pidfd_(std::move(pidfd)), socket_path_(std::move(socket_path)) {}

ExportProcess::~ExportProcess() {
  if (owned_ && pidfd_) stop();
}

ExportProcess ExportProcess::start(const ExportOptions& options) {
  clear_socket_path(options.socket_path);
  NbdkitLog log(options.log_path);
  auto deadline = Clock::now() + options.ready_timeout;
  ExportProcess process = launch(options, log);
  process.owned_ = true;  // until it is ready, whatever its lifetime
  while (true) {
    if (process.wait_for_end(std::chrono::milliseconds(5))) {
      throw Error(ErrorCode::unavailable, "the export did not start: " + log.words());
    }
    if (::access(options.socket_path.c_str(), F_OK) == 0) {
      NbdProbe probe = probe_disks(options);
      if (probe.outcome == NbdProbe::Outcome::served) break;
      if (probe.outcome == NbdProbe::Outcome::refused) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the export does not serve its disks: {} ({})", log.words(),
                                probe.problem));
      }
    }
    if (Clock::now() > deadline) {
      auto waited = base::format_duration_ms(static_cast<uint64_t>(options.ready_timeout.count()));
      throw Error(ErrorCode::unavailable,
                  fmt::format("the export was not ready within {}: {}", waited, log.words()));
    }
  }
  give_socket(options.socket_path, options.socket_owner.value_or(::geteuid()));
  process.owned_ = options.lifetime == base::Lifetime::with_parent;
  return process;
}

// nbdkit in the foreground asks the kernel for SIGTERM when its parent dies. Therefore an
// independent one gets init as its parent before it asks.
ExportProcess ExportProcess::launch(const ExportOptions& options, const NbdkitLog& log) {
  base::SubprocessOptions child_options;
  child_options.lifetime = options.lifetime;
  child_options.output_path = log.path();
  std::vector<std::string> command = nbdkit_command(options);
  if (options.lifetime == base::Lifetime::with_parent) {
    base::Subprocess child(command, child_options);
    ExportProcess process(child.pid(), pin(child.pid()), options.socket_path);
    process.child_.emplace(std::move(child));
    return process;
  }
  child_options.lifetime = base::Lifetime::orphaned;
  base::Subprocess launcher(command, child_options);
  launcher.wait_for(kLaunchTimeout);
  auto deadline = Clock::now() + kLaunchTimeout;
  while (true) {
    // If it has written something it is running, or has ended: because of a mere warning it must
    // not be left running unknown.
    bool is_last_look = !log.words().empty() || Clock::now() >= deadline;
    if (auto process = find(options.socket_path)) return std::move(*process);
    if (is_last_look) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::string words = log.words();
  throw Error(ErrorCode::unavailable,
              "the export did not start: " + (words.empty() ? "no reason given" : words));
}

std::vector<ExportProcess> ExportProcess::find_below(const std::string& directory) {
  std::vector<ExportProcess> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    pid_t pid = static_cast<pid_t>(std::atoi(name.c_str()));
    std::optional<std::string> socket = socket_of(pid);
    if (!socket || (*socket != directory && !socket->starts_with(directory + "/"))) continue;
    base::UniqueFd pidfd = pin(pid);
    // The pid may have been reused before this; from here on it cannot be.
    if (!pidfd || socket_of(pid) != socket) continue;
    found.push_back(ExportProcess(pid, std::move(pidfd), *socket));
  }
  return found;
}

std::optional<ExportProcess> ExportProcess::find(const std::string& socket_path) {
  std::vector<ExportProcess> found = find_below(socket_path);
  for (ExportProcess& process : found) {
    if (process.socket_path_ == socket_path) return std::move(process);
  }
  return std::nullopt;
}

bool ExportProcess::wait_for_end(std::chrono::milliseconds timeout) {
  if (child_) return child_->wait_for(timeout).has_value();
  pollfd watched{pidfd_.get(), POLLIN, 0};
  int ready = ::poll(&watched, 1, static_cast<int>(timeout.count()));
  if (ready <= 0) return false;
  ::waitpid(pid_, nullptr,
            WNOHANG);  // if it is a child of this process started by another object
  return true;
}

bool ExportProcess::is_running() { return !wait_for_end(std::chrono::milliseconds(0)); }

void ExportProcess::stop(std::chrono::milliseconds grace) {
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGTERM, nullptr, 0);
  if (!wait_for_end(grace)) {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    wait_for_end(std::chrono::seconds(10));
  }
  ::unlink(socket_path_.c_str());
  owned_ = false;
}

std::string export_uri(const std::string& socket_path, const std::string& disk_name) {
  auto escape = [](const std::string& text) {
    std::string escaped;
    for (char c : text) {
      bool plain =
          std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("-._~/", c) != nullptr;
      escaped += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return escaped;
  };
  return fmt::format("nbd+unix:///{}?socket={}", escape(disk_name), escape(socket_path));
}

}  // namespace images
