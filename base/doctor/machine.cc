#include "base/doctor/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/certificates.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace base::doctor {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kDay_ms = 86'400'000;
constexpr uint64_t kCertificateWarning_ms = 60 * kDay_ms;
constexpr uint64_t kSmallestMtu = 1280;  // IPv6 needs it, RFC 8200
constexpr auto kCommandPatience = std::chrono::seconds(10);

struct Addresses {
  explicit Addresses(const std::string& host, uint16_t port = 0, int socket_type = SOCK_STREAM) {
    addrinfo hints{};
    hints.ai_socktype = socket_type;
    int result = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (result != 0) problem = ::gai_strerror(result);
  }
  ~Addresses() {
    if (list != nullptr) ::freeaddrinfo(list);
  }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  std::string text() const {
    std::string all;
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
      char name[NI_MAXHOST];
      if (::getnameinfo(each->ai_addr, each->ai_addrlen, name, sizeof name, nullptr, 0,
                        NI_NUMERICHOST) == 0)
        all += (all.empty() ? "" : ", ") + std::string(name);
    }
    return all;
  }

  addrinfo* list = nullptr;
  std::string problem;
};

std::string one_line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string machine_name() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

// The disks that a block device of /sys consists of.
void add_disks(const fs::path& device, std::set<std::string>& disks, int depth) {
  if (depth > 16) throw Error(ErrorCode::unsupported, "its devices are nested too deeply");
  if (fs::exists(device / "partition")) return add_disks(device.parent_path(), disks, depth + 1);
  bool has_slaves = false;
  std::error_code ignored;
  for (const auto& slave : fs::directory_iterator(device / "slaves", ignored)) {
    has_slaves = true;
    add_disks(fs::canonical(slave.path()), disks, depth + 1);
  }
  if (!has_slaves) disks.insert(device.filename().string());
}

// The device that a file system without a device number of its own (Btrfs, overlays) was mounted from.
dev_t device_by_mounts(dev_t number) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string wanted = fmt::format("{}:{}", major(number), minor(number));
  for (std::string line; std::getline(mounts, line);) {
    std::vector<std::string> words = split(line, ' ');
    size_t dash = 0;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (words.size() < 3 || words[2] != wanted || dash + 2 >= words.size()) continue;
    struct stat status {};
    const std::string& source = words[dash + 2];
    if (::stat(source.c_str(), &status) == 0 && S_ISBLK(status.st_mode)) return status.st_rdev;
    throw Error(
        ErrorCode::unsupported,
        fmt::format("it is on {} ({}), not on a disk of this machine", source, words[dash + 1]));
  }
  throw Error(ErrorCode::unsupported, "its file system is not in /proc/self/mountinfo");
}

}  // namespace

std::vector<Finding> look_at_clock(const std::vector<std::string>& witnesses) {
  std::vector<Finding> found;
  timex status{};
  if (::adjtimex(&status) < 0) throw system_error(errno, "cannot ask the kernel about its clock");
  if ((status.status & STA_UNSYNC) != 0) {
    found.push_back({Outcome::warn, "time", "no time service keeps this machine's clock right",
                     "apt install chrony; then look with 'timedatectl' or 'chronyc tracking'"});
  } else {
    found.push_back(
        {Outcome::ok, "time",
         fmt::format("a time service keeps the clock, within {} ms", status.maxerror / 1000), ""});
  }
  auto now = static_cast<time_t>(now_ms() / 1000);
  for (const std::string& path : witnesses) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0 || file.st_mtime <= now + 60) continue;
    found.push_back(
        {Outcome::fail, "clock",
         fmt::format("it is {}, but {} was last changed at {}", format_time_ms(now_ms()), path,
                     format_time_ms(static_cast<uint64_t>(file.st_mtime) * 1000)),
         "set the clock: timedatectl set-time, or let a time service do it"});
    return found;
  }
  found.push_back({Outcome::ok, "clock", "it is " + format_time_ms(now_ms()), ""});
  return found;
}

Finding look_at_space(const std::string& directory) {
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0)
    throw system_error(errno, "cannot ask for the space of " + directory);
  uint64_t free = space.f_bavail * space.f_frsize, size = space.f_blocks * space.f_frsize;
  std::string what =
      fmt::format("{} of {} are free in {}", format_size(free), format_size(size), directory);
  if (space.f_favail == 0 && space.f_files != 0)
    return {Outcome::fail, "free space", "no more files can be created in " + directory,
            "remove files there, or use a file system with more inodes"};
  if (free < size / 50)
    return {Outcome::fail, "free space", what, "enlarge the disk, or delete what is not needed"};
  if (free < size / 10)
    return {Outcome::warn, "free space", what, "enlarge the disk, or delete what is not needed"};
  return {Outcome::ok, "free space", what, ""};
}

std::vector<Finding> look_at_names(const std::string& peer) {
  std::vector<Finding> found;
  std::string name = machine_name();
  Addresses own(name);
  if (own.list == nullptr) {
    found.push_back({Outcome::warn, "names",
                     fmt::format("this machine's name {} has no address: {}", name, own.problem),
                     fmt::format("add a line with {} to /etc/hosts, or to the DNS", name)});
  } else {
    found.push_back({Outcome::ok, "names", fmt::format("{} is {}", name, own.text()), ""});
  }
  if (peer.empty() || peer == name) return found;
  Addresses other(peer);
  if (other.list == nullptr) {
    found.push_back({Outcome::fail, "names",
                     fmt::format("the name {} has no address: {}", peer, other.problem),
                     fmt::format("ask the DNS with 'getent ahosts {}', and correct it", peer)});
  } else if (peer != other.text()) {
    found.push_back({Outcome::ok, "names", fmt::format("{} is {}", peer, other.text()), ""});
  }
  return found;
}

std::vector<Finding> look_at_mtu() {
  std::vector<Finding> found;
  std::string sizes;
  for (const auto& each : fs::directory_iterator("/sys/class/net")) {
    std::string name = each.path().filename();
    if (name == "lo" || one_line_of(each.path() / "operstate") == "down") continue;
    std::string mtu = one_line_of(each.path() / "mtu");
    if (mtu.empty()) continue;
    sizes += fmt::format("{}{} {}", sizes.empty() ? "" : ", ", name, mtu);
    if (std::stoull(mtu) < kSmallestMtu) {
      found.push_back({Outcome::warn, "MTU", fmt::format("{} has {}", name, mtu),
                       fmt::format("ip link set {} mtu 1500", name)});
    }
    std::error_code ignored;
    for (const auto& port : fs::directory_iterator(each.path() / "brif", ignored)) {
      std::string member = port.path().filename();
      std::string other = one_line_of(fs::path("/sys/class/net") / member / "mtu");
      if (other == mtu) continue;
      found.push_back(
          {Outcome::warn, "MTU",
           fmt::format("the bridge {} has {}, its port {} has {}: larger packets vanish", name, mtu,
                       member, other),
           fmt::format("ip link set {} mtu {}", member, mtu)});
    }
  }
  if (sizes.empty()) throw Error(ErrorCode::not_found, "no network interface is up");
  if (found.empty()) found.push_back({Outcome::ok, "MTU", sizes, ""});
  return found;
}

Finding look_at_path_mtu(const Endpoint& peer) {
  Addresses addresses(peer.host, peer.port, SOCK_DGRAM);
  if (addresses.list == nullptr) throw Error(ErrorCode::unavailable, addresses.problem);
  const addrinfo& address = *addresses.list;
  UniqueFd fd(::socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  bool is_v6 = address.ai_family == AF_INET6;
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (!fd || ::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0 ||
      ::getsockopt(fd.get(), is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU : IP_MTU, &mtu,
                   &size) != 0)
    throw system_error(errno, "there is no way to " + peer.text());
  std::string what = fmt::format("packets to {} may have {} bytes", peer.text(), mtu);
  if (static_cast<uint64_t>(mtu) < kSmallestMtu)
    return {Outcome::warn, "path MTU", what, "look at the tunnel or VPN on the way"};
  return {Outcome::ok, "path MTU", what, ""};
}

Finding look_at_port(const std::string& host, uint16_t port, const std::string& owner) {
  Addresses addresses(host, port);
  if (addresses.list == nullptr) throw Error(ErrorCode::invalid_argument, addresses.problem);
  if (!owner.empty())
    return {Outcome::ok, "port", fmt::format("{} listens on {}:{}", owner, host, port), ""};
  const addrinfo& address = *addresses.list;
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int yes = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
    throw system_error(errno, "cannot make a socket");
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd.get(), 1) == 0)
    return {Outcome::ok, "port", fmt::format("{}:{} is free", host, port), ""};
  return {Outcome::fail, "port",
          fmt::format("{}:{} cannot be listened on: {}", host, port,
                      errno == EADDRINUSE ? "another program does" : std::strerror(errno)),
          fmt::format("see which with 'ss -Hltnp sport = :{}', or set 'listen' in mulettod.toml",
                      port)};
}

Finding look_at_certificate(std::string_view pem, const std::string& subject,
                            const std::string& remedy, uint64_t now_ms) {
  uint64_t end_ms = describe_certificate(pem).not_after_ms;
  std::string date = format_time_ms(end_ms);
  if (end_ms <= now_ms) return {Outcome::fail, subject, "expired at " + date, remedy};
  if (end_ms - now_ms < kCertificateWarning_ms)
    return {Outcome::warn, subject, "expires at " + date, remedy};
  return {Outcome::ok, subject, "valid until " + date, ""};
}

Finding look_at_program(const std::string& name, const std::string& package,
                        const std::string& version_option) {
  try {
    CommandResult result = run_command({name, version_option}, kCommandPatience);
    std::string said = trim(split(result.output.empty() ? result.errors : result.output, '\n')[0]);
    if (result.status == 0) return {Outcome::ok, name, said.empty() ? "is installed" : said, ""};
    return {Outcome::fail, name, fmt::format("ends with {}: {}", result.status, said),
            fmt::format("apt install --reinstall {}", package)};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return {Outcome::fail, name, "is not installed", fmt::format("apt install {}", package)};
  }
}

std::set<std::string> physical_disks_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw system_error(errno, "cannot look at " + path);
  dev_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
  if (major(device) == 0) device = device_by_mounts(device);
  std::set<std::string> disks;
  std::error_code error;
  fs::path place =
      fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(device), minor(device)), error);
  if (error) throw Error(ErrorCode::unsupported, path + " is on no disk that the kernel shows");
  add_disks(place, disks, 0);
  return disks;
}

}  // namespace base::doctor
