#include "agent/monitor/qmp_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/socket_stream.h"

namespace agent::monitor {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr size_t kMaxLine = 4u << 20;  // bytes
constexpr size_t kMaxEvents = 10'000;  // between a command and its answer
constexpr auto kAgentTimeout = std::chrono::seconds(10);
constexpr auto kAgentGreeting = std::chrono::seconds(3);
constexpr char kDelimiter = '\xff';  // see QEMU's guest-sync-delimited
constexpr uint32_t kMostWaitMs = 60'000;

}  // namespace

LineSocket::LineSocket(const std::string& path) : path_(path), fd_(base::connect_unix(path)) {}

void LineSocket::send(const std::string& text) {
  size_t sent = 0;
  while (sent < text.size()) {
    ssize_t now = ::send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (now > 0) {
      sent += static_cast<size_t>(now);
      continue;
    }
    if (errno == EINTR) continue;
    bool full = errno == EAGAIN || errno == EWOULDBLOCK;
    if (full && base::wait_for_socket(fd_.get(), POLLOUT, kAgentTimeout)) continue;
    throw base::Error(base::ErrorCode::unavailable, "nothing can be sent to " + path_);
  }
}

std::string LineSocket::line(Clock::time_point deadline) {
  while (true) {
    size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    if (buffer_.size() > kMaxLine)
      throw base::Error(base::ErrorCode::corrupt, path_ + " sends a line without an end");
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    left = std::min(left, std::chrono::milliseconds(kMostWaitMs));
    if (left.count() <= 0 || !base::wait_for_socket(fd_.get(), POLLIN, left)) {
      if (left.count() > 0 && Clock::now() < deadline) continue;
      throw base::Error(base::ErrorCode::unavailable, path_ + " does not answer");
    }
    char bytes[16384];
    ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (size > 0) buffer_.append(bytes, static_cast<size_t>(size));
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
      throw base::Error(base::ErrorCode::unavailable, path_ + " ended the connection");
  }
}

QmpSocket::QmpSocket(const std::string& path) : socket_(path) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket_.fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    throw base::system_error(errno, "cannot find out who serves " + path);
  pid_ = peer.pid;
  uid_ = peer.uid;
  gid_ = peer.gid;
  std::string greeting;
  try {
    greeting = socket_.line(Clock::now() + kSocketPatience);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::unavailable) throw;
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("QEMU did not greet at {} within {} s: the monitor serves one program at a "
                    "time, and another one holds it; try again",
                    path, kSocketPatience.count()));
  }
  auto message = base::find_json(greeting);
  if (!message || base::find_field(*message, "QMP") == nullptr) {
    throw base::Error(base::ErrorCode::corrupt,
                      path + " is not a QEMU monitor in control mode (-mon mode=control)");
  }
  execute("qmp_capabilities");
}

json QmpSocket::execute(const std::string& command, const json& arguments) {
  socket_.send(command_text(command, arguments) + "\n");
  auto deadline = Clock::now() + kCommandTimeout;
  for (size_t i = 0; i < kMaxEvents; ++i) {
    std::string line = socket_.line(deadline);
    auto message = base::find_json(line);
    if (message && base::find_field(*message, "event") != nullptr) continue;
    return result_of(line, command);
  }
  throw base::Error(base::ErrorCode::unavailable, "QEMU sends events without an end");
}

// What an earlier client left unread may still come: a number of ours is asked for and waited for.
GuestAgentSocket::GuestAgentSocket(const std::string& path) : socket_(path) {
  auto random = base::random_array<4>();
  uint64_t number = 0;
  for (uint8_t byte : random) number = number << 8 | static_cast<uint8_t>(byte);
  json message{{"execute", "guest-sync-delimited"}, {"arguments", {{"id", number}}}};
  socket_.send(kDelimiter + base::dump_text(message) + "\n");
  auto deadline = Clock::now() + kAgentGreeting;
  for (size_t i = 0; i < kMaxEvents; ++i) {
    std::string line = socket_.line(deadline);
    size_t begin = line.rfind(kDelimiter);
    if (begin != std::string::npos) line.erase(0, begin + 1);
    auto answer = base::find_json(line);
    if (answer && base::find_natural(*answer, "return") == number) return;
  }
  throw base::Error(base::ErrorCode::unavailable, "the guest agent does not answer");
}

json GuestAgentSocket::call(const std::string& command) {
  socket_.send(command_text(command, json::object()) + "\n");
  std::string line = socket_.line(Clock::now() + kAgentTimeout);
  auto answer = base::find_json(line);
  const json* error = answer ? base::find_field(*answer, "error") : nullptr;
  if (error != nullptr) {
    throw base::Error(base::ErrorCode::io,
                      fmt::format("the guest agent refused {}: {}", command,
                                  base::find_text(*error, "desc").value_or("without a reason")));
  }
  const json* result = answer ? base::find_field(*answer, "return") : nullptr;
  if (result == nullptr)
    throw base::Error(base::ErrorCode::io, "the guest agent's answer cannot be read");
  return *result;
}

void GuestAgentSocket::freeze() { call("guest-fsfreeze-freeze"); }
void GuestAgentSocket::thaw() { call("guest-fsfreeze-thaw"); }
bool GuestAgentSocket::frozen() { return call("guest-fsfreeze-status") != json("thawed"); }

}  // namespace agent::monitor
