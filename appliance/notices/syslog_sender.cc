#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "appliance/notices/senders.h"
#include "appliance/notices/targets.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace appliance::notices {
namespace {

constexpr const char* kLocalSocket = "/dev/log";
constexpr uint16_t kPort = 514;
constexpr int kTimeout_ms = 10'000;
constexpr int kFacility = 16;  // local0
constexpr size_t kMaxMessage = 1500, kMaxValue = 255;

int level_of(const Notice& notice) {
  if (notice.state == kClosed || notice.state == kTest) return 5;  // notice
  return severity_of(notice) == "critical" ? 2 : 4;                // critical, warning
}

// RFC 5424, 6.3.3: a quoted value escapes ", \ and ].
std::string parameter(const char* name, const std::string& text) {
  std::string value;
  for (char c : base::clean_text(text, kMaxValue)) {
    if (c == '"' || c == '\\' || c == ']') value += '\\';
    value += c;
  }
  return fmt::format(" {}=\"{}\"", name, value);
}

[[noreturn]] void fail(const std::string& what) {
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("{}: {}", what, std::strerror(errno)));
}

base::UniqueFd connected(const sockaddr* address, socklen_t size, int type,
                         const std::string& name) {
  base::UniqueFd fd(::socket(address->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) fail("no socket");
  if (::connect(fd.get(), address, size) == 0) return fd;
  if (errno != EINPROGRESS) fail(name + " cannot be reached");
  pollfd wait{fd.get(), POLLOUT, 0};
  if (::poll(&wait, 1, kTimeout_ms) <= 0) {
    errno = ETIMEDOUT;
    fail(name + " cannot be reached");
  }
  int failure = 0;
  socklen_t length = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &length);
  if (failure == 0) return fd;
  errno = failure;
  fail(name + " cannot be reached");
}

void write_all(int fd, const std::string& text, const std::string& name) {
  for (size_t done = 0; done < text.size();) {
    ssize_t count = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (count >= 0) {
      done += static_cast<size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) fail(name + " does not take the message");
    pollfd wait{fd, POLLOUT, 0};
    if (::poll(&wait, 1, kTimeout_ms) > 0) continue;
    errno = ETIMEDOUT;
    fail(name + " does not take the message");
  }
}

base::UniqueFd connect_locally() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kLocalSocket, sizeof address.sun_path - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return connected(generic, sizeof address, SOCK_DGRAM, kLocalSocket);
}

}  // namespace

std::string syslog_text(const std::string& host_name, const Notice& notice, uint64_t now_ms) {
  const catalog::Alert& alert = notice.alert;
  std::string kind = alert.kind.empty() ? "-" : base::clean_text(alert.kind, 32);
  std::string data = "[muletto@32473" + parameter("notice", notice.id) +
                     parameter("state", notice.state) + parameter("severity", severity_of(notice)) +
                     parameter("tenant", alert.tenant.text()) +
                     parameter("subject", alert.subject) + "]";
  return fmt::format(
      "<{}>1 {} {} mulettod - {} {} \xEF\xBB\xBF{}", kFacility * 8 + level_of(notice),
      base::format_time_ms(now_ms), host_name.empty() ? "-" : host_name, kind, data,
      base::clean_text(fmt::format("{}: {}", notice.state, alert.message), kMaxMessage));
}

void send_to_syslog(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice) {
  std::string text = syslog_text(options.host_name, notice, base::now_ms());
  if (spec.server.empty()) {
    write_all(connect_locally().get(), text, kLocalSocket);
    return;
  }
  int type = spec.over_tcp ? SOCK_STREAM : SOCK_DGRAM;
  Target target = resolve_target(spec.server, kPort, type, options.may_be_local);
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  base::UniqueFd fd = connected(address, target.size, type, target.text);
  // RFC 6587, 3.4.1: over TCP each message follows its length.
  if (spec.over_tcp) text = fmt::format("{} {}", text.size(), text);
  write_all(fd.get(), text, target.text);
  if (!spec.over_tcp) return;
  // The protocol has no answer; but a receiver that is gone resets the connection.
  ::shutdown(fd.get(), SHUT_WR);
  pollfd wait{fd.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&wait, 1, 2000) > 0 && ::recv(fd.get(), &byte, 1, 0) < 0)
    fail(target.text + " does not take the message");
}

}  // namespace appliance::notices
