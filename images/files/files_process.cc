#include "images/files/files_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/confinement.h"
#include "base/error.h"
#include "images/files/name_text.h"

namespace images::files {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr size_t kMaxProblems = 1000;  // of one page

std::array<base::UniqueFd, 2> make_sockets() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
    throw base::system_error(errno, "cannot make a pair of sockets");
  return {base::UniqueFd(pair[0]), base::UniqueFd(pair[1])};
}

// What runs the program without rights.
std::vector<std::string> confined_reader(int socket, const ProcessLimits& limits) {
  base::Confinement confinement;
  confinement.memory_size = limits.memory_size;
  confinement.processor_time = limits.processor_time;
  confinement.nice = 5;
  try {
    return base::confined({base::program_beside("muletto-files"), std::to_string(socket)},
                          confinement);
  } catch (const Error& error) {
    throw Error(ErrorCode::unavailable, error.message());
  }
}

// Waits until the socket can be read or written. False after the deadline.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  while (true) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd watched{fd, events, 0};
    int ready = ::poll(&watched, 1, static_cast<int>(std::min<int64_t>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw base::system_error(errno, "cannot wait for a socket");
  }
}

}  // namespace

FilesProcess::FilesProcess(std::vector<SharedDisk> disks,
                           const std::vector<volumes::VolumeKey>& keys, const ProcessLimits& limits)
    : disks_(std::move(disks)), limits_(limits) {
  auto [ours, theirs] = make_sockets();
  base::SubprocessOptions options;
  options.inherited_fds = {theirs.get()};
  options.output_path = "/dev/null";
  process_ = std::make_unique<base::Subprocess>(confined_reader(theirs.get(), limits_), options);
  socket_ = std::move(ours);
  theirs.reset();

  OpenRequest request;
  for (const SharedDisk& disk : disks_) request.disks.push_back({disk.name, disk.source->size()});
  request.keys = keys;
  is_opening_ = true;
  ask(pack(request));
  bool has_found = false;
  while (true) {
    Bytes message = receive();
    if (kind_of(message) == MessageKind::found && !has_found) {
      found_ = unpack_found(message);
      has_found = true;
      continue;
    }
    if (kind_of(message) == MessageKind::progress) continue;
    if (kind_of(message) != MessageKind::end) give_up("it answered with something else");
    End end = unpack_end(message);
    is_asked_ = false;
    is_opening_ = false;
    if (!end.is_good) throw Error(end.code, end.words);
    if (!has_found) give_up("it did not say what it found");
    return;
  }
}

FilesProcess::~FilesProcess() = default;

FilePage FilesProcess::list(uint32_t file_system, const std::string& path, uint64_t cursor,
                            uint32_t limit) {
  ask(pack(MessageKind::list, PathRequest{file_system, path, cursor, limit}));
  return read_page(limit);
}

FilePage FilesProcess::list(uint32_t file_system, const NodeId& folder, uint64_t cursor,
                            uint32_t limit) {
  ask(pack(MessageKind::list, PathRequest{file_system, {}, cursor, limit, folder}));
  return read_page(limit);
}

FilePage FilesProcess::read_page(uint32_t limit) {
  FilePage page;
  while (true) {
    Event event = next_event();
    if (auto* entry = std::get_if<Entry>(&event)) {
      if (page.entries.size() >= limit || !is_plain_name(entry->path))
        give_up("it listed what cannot be listed");
      page.entries.push_back(std::move(*entry));
    } else if (auto* problem = std::get_if<Problem>(&event)) {
      if (page.problems.size() < kMaxProblems) page.problems.push_back(std::move(*problem));
    } else if (auto* end = std::get_if<End>(&event)) {
      is_asked_ = false;
      if (!end->is_good) throw Error(end->code, end->words);
      page.cursor = end->cursor;
      page.has_more = end->has_more;
      return page;
    } else if (!std::holds_alternative<Progress>(event)) {
      give_up("it answered with something else");
    }
  }
}

Node FilesProcess::look(uint32_t file_system, const std::string& path) {
  ask(pack(MessageKind::look, PathRequest{file_system, path, 0, 0}));
  Event first = next_event();
  if (auto* end = std::get_if<End>(&first)) {
    is_asked_ = false;
    if (!end->is_good) throw Error(end->code, end->words);
    give_up("it said nothing");
  }
  auto* entry = std::get_if<Entry>(&first);
  if (entry == nullptr) give_up("it answered with something else");
  Event last = next_event();
  if (!std::holds_alternative<End>(last)) give_up("it answered with something else");
  is_asked_ = false;
  return std::move(entry->node);
}

void FilesProcess::begin_read(uint32_t file_system, const std::string& path, uint64_t offset,
                              uint64_t length) {
  ask(pack(MessageKind::read, PathRequest{file_system, path, offset, length}));
}

void FilesProcess::begin_walk(const WalkRequest& request) { ask(pack(request)); }

Event FilesProcess::next() {
  Event event = next_event();
  if (std::holds_alternative<End>(event)) is_asked_ = false;
  return event;
}

void FilesProcess::ask(const Bytes& message) {
  MessageKind kind = kind_of(message);
  bool is_short = kind == MessageKind::list || kind == MessageKind::look;
  latest_ = is_short ? Clock::now() + limits_.longest_page : Clock::time_point::max();
  if (!is_ready())
    throw Error(ErrorCode::unavailable, "the program that reads file systems is busy or has ended");
  is_asked_ = true;
  send(message);
}

Event FilesProcess::next_event() {
  Bytes message = receive();
  try {
    switch (kind_of(message)) {
      case MessageKind::entry: return unpack_entry(message);
      case MessageKind::ranges: return unpack_ranges(message);
      case MessageKind::data: return unpack_data(message);
      case MessageKind::content_end: return ContentEnd{unpack_problem(message).why};
      case MessageKind::problem: return unpack_problem(message);
      case MessageKind::progress: return unpack_progress(message);
      case MessageKind::end: return unpack_end(message);
      default: break;
    }
  } catch (const Error& error) {
    give_up(error.message());
  }
  give_up("it sent a message of an unknown kind");
}

Bytes FilesProcess::receive() {
  auto deadline = std::min(
      Clock::now() + (is_opening_ ? limits_.longest_opening : limits_.longest_silence), latest_);
  while (true) {
    std::array<uint8_t, 4> head{};
    read_exactly(head.data(), head.size(), deadline);
    uint32_t length = base::load_u32(head.data());
    if (length == 0 || length > kMaxMessage) give_up("it sent a message of an impossible size");
    Bytes message(length);
    read_exactly(message.data(), message.size(), deadline);
    if (kind_of(message) != MessageKind::disk_read) return message;
    DiskRead read;
    try {
      read = unpack_disk_read(message);
    } catch (const Error& error) {
      give_up(error.message());
    }
    serve(read);
    // Time that the store took is not the program's.
    deadline = std::min(std::max(deadline, Clock::now() + limits_.longest_silence), latest_);
  }
}

void FilesProcess::serve(const DiskRead& read) {
  if (read.disk >= disks_.size()) give_up("it asked for a disk that is not there");
  DiskSource& disk = *disks_[read.disk].source;
  if (read.offset > disk.size() || read.length > disk.size() - read.offset)
    give_up("it asked for what is beyond the end of a disk");
  Bytes bytes(read.length);
  std::string problem;
  try {
    disk.read(read.offset, bytes);
  } catch (const Error& error) {
    problem = error.message();
    bytes.clear();
  }
  send(pack_disk_bytes(problem, bytes));
}

void FilesProcess::send(const Bytes& message) {
  Bytes framed(4 + message.size());
  base::store_u32(framed.data(), static_cast<uint32_t>(message.size()));
  std::copy(message.begin(), message.end(), framed.begin() + 4);
  auto deadline = Clock::now() + limits_.longest_silence;
  for (size_t sent = 0; sent < framed.size();) {
    ssize_t count = ::send(socket_.get(), framed.data() + sent, framed.size() - sent,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_.get(), POLLOUT, deadline)) give_up("it took no answer");
    } else if (errno != EINTR) {
      give_up("");
    }
  }
}

void FilesProcess::read_exactly(uint8_t* to, size_t size, Clock::time_point deadline) {
  for (size_t done = 0; done < size;) {
    ssize_t count = ::recv(socket_.get(), to + done, size - done, MSG_DONTWAIT);
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (count < 0 && errno == EAGAIN) {
      if (!wait_for(socket_.get(), POLLIN, deadline)) give_up("it was silent for too long");
    } else if (count == 0 || errno != EINTR) {
      give_up("");
    }
  }
}

void FilesProcess::give_up(const std::string& what) {
  is_broken_ = true;
  std::string why = what;
  if (why.empty()) {
    std::optional<int> status = process_->wait_for(std::chrono::seconds(2));
    if (!status) why = "it closed its connection";
    else if (*status == base::kNotConfined) why = "it could not be confined, which needs root";
    else if (*status == 127) why = "it cannot be run: is it installed, and readable for all?";
    else if (*status == 128 + SIGXCPU || *status == 128 + SIGKILL)
      why = "it was ended: it used more processor time or memory than it may";
    else if (*status > 128) why = fmt::format("it was ended by signal {}", *status - 128);
    else why = fmt::format("it ended with status {}", *status);
  }
  process_->signal(SIGKILL);
  throw Error(ErrorCode::unavailable,
              "the program that reads the point's file systems (muletto-files) failed: " + why);
}

}  // namespace images::files
