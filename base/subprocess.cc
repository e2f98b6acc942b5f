#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/text.h"

namespace base {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kOutputLimit = 16u << 20;
constexpr size_t kErrorsLimit = 1u << 20;
constexpr std::chrono::seconds kLeftBehind{1};
constexpr std::chrono::seconds kKillTimeout{10};

enum class Session { parents, own };

struct ChildStreams {
  int input = -1;
  int output = -1;
  int errors = -1;
};

// Returns only in a child of this process, and only once this process is gone. Between fork and
// exec, as below.
bool leave_parent() {
  pid_t go_between = ::getpid();
  pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid > 0) ::_exit(0);
  timespec pause{.tv_sec = 0, .tv_nsec = 200'000};
  while (::getppid() == go_between) ::nanosleep(&pause, nullptr);
  return true;
}

// Between fork and exec, as below. False if a descriptor might stay open.
bool keep_only(const std::vector<int>& descriptors) {
  if (::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return false;
  for (int fd : descriptors) {
    if (::fcntl(fd, F_SETFD, 0) != 0) return false;
  }
  return true;
}

// The environment of a program that is handed a listening socket. Made before fork; only the
// process number is filled in after it.
class ActivationEnvironment {
 public:
  ActivationEnvironment() {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      if (!std::string_view(*entry).starts_with("LISTEN_")) entries_.push_back(*entry);
    }
    entries_.push_back(count_.data());
    entries_.push_back(pid_.data());
    entries_.push_back(nullptr);
  }

  // Between fork and exec.
  void enter(int listening_fd) {
    size_t at = pid_.find('=') + 1;
    std::array<char, 12> digits;
    size_t length = 0;
    for (pid_t rest = ::getpid(); rest > 0; rest /= 10)
      digits[length++] = static_cast<char>('0' + rest % 10);
    while (length > 0) pid_[at++] = digits[--length];
    pid_[at] = 0;
    if (listening_fd == kFirstPassed) ::fcntl(listening_fd, F_SETFD, 0);
    else ::dup2(listening_fd, kFirstPassed);
    environ = entries_.data();
  }

 private:
  static constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START
  std::string count_ = "LISTEN_FDS=1";
  std::string pid_ = "LISTEN_PID=            ";
  std::vector<char*> entries_;
};

// The step of become_command() that failed; errno says why.
enum class Failure : int { none, exec, jail };

// Between fork and exec: only async-signal-safe calls. Returns only to fail.
Failure become_command(char* const* arguments, const ChildStreams& streams,
                       const SubprocessOptions& options, Session session, pid_t parent,
                       ActivationEnvironment* activation) {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (options.lifetime == Lifetime::with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // In a jail, processes outside have no number.
    if (options.jail == nullptr && ::getppid() != parent) ::_exit(127);
  } else {
    if (options.lifetime == Lifetime::orphaned && !leave_parent()) return Failure::exec;
    ::setsid();
    // Otherwise it would keep the file system of our working folder busy.
    if (options.lifetime == Lifetime::orphaned && ::chdir("/") != 0) return Failure::exec;
  }
  if (session == Session::own) ::setsid();
  if (streams.input >= 0) ::dup2(streams.input, 0);
  if (streams.output >= 0) ::dup2(streams.output, 1);
  if (streams.errors >= 0) ::dup2(streams.errors, 2);
  // Before the jail, which takes away privileges; what it opens itself is also closed before exec.
  if (!keep_only(options.inherited_fds)) return Failure::exec;
  if (options.jail != nullptr && !options.jail->enter()) return Failure::jail;
  if (activation != nullptr) activation->enter(options.listening_fd);
  ::execvp(arguments[0], arguments);
  return Failure::exec;
}

// fork(), into the namespaces of a jail if there is one.
pid_t fork_into(const FileJail* jail) {
  if (jail == nullptr) return ::fork();
  return static_cast<pid_t>(
      ::syscall(SYS_clone, SIGCHLD | jail->clone_flags(), nullptr, nullptr, nullptr, nullptr));
}

Error failed_to_start(const std::array<int, 2>& told, const std::string& program) {
  bool jailed = static_cast<Failure>(told[0]) == Failure::jail;
  return system_error(told[1], (jailed ? "cannot confine " : "cannot run ") + program);
}

pid_t spawn(const std::vector<std::string>& command, const ChildStreams& streams,
            const SubprocessOptions& options, Session session = Session::parents) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  // The pipe closes on a successful exec; otherwise it carries errno.
  std::array<int, 2> report;
  if (::pipe2(report.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  UniqueFd report_read(report[0]), report_write(report[1]);
  std::optional<ActivationEnvironment> activation;
  if (options.listening_fd >= 0) activation.emplace();
  pid_t parent = ::getpid();
  pid_t pid = fork_into(options.jail);
  if (pid < 0) throw system_error(errno, "cannot start " + command.front());
  if (pid == 0) {
    Failure failure = become_command(arguments.data(), streams, options, session, parent,
                                     activation ? &*activation : nullptr);
    std::array<int, 2> told{static_cast<int>(failure), errno};
    [[maybe_unused]] ssize_t ignored = ::write(report_write.get(), told.data(), sizeof told);
    ::_exit(127);
  }
  report_write.reset();
  std::array<int, 2> told{};
  ssize_t count;
  do {
    count = ::read(report_read.get(), told.data(), sizeof told);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof told)) {
    ::waitpid(pid, nullptr, 0);
    throw failed_to_start(told, command.front());
  }
  return pid;
}

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

int remaining_ms(Clock::time_point deadline) {
  auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

// Reads what is available; false at the end of the stream. Bytes beyond the limit are dropped.
bool drain(int fd, std::string& into, size_t limit) {
  std::array<char, 65536> buffer;
  ssize_t count = ::read(fd, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR;
  if (into.size() < limit)
    into.append(buffer.data(), std::min(static_cast<size_t>(count), limit - into.size()));
  return count > 0;
}

UniqueFd open_pidfd(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) throw system_error(errno, "cannot watch process " + std::to_string(pid));
  return pidfd;
}

// False if the process has not ended by then.
bool wait_until_ended(const UniqueFd& pidfd, Clock::time_point deadline) {
  pollfd watched{pidfd.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&watched, 1, remaining_ms(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Reads both streams until they are closed and the process has ended; false after the deadline.
bool collect(const UniqueFd& pidfd, const UniqueFd& output, const UniqueFd& errors,
             Clock::time_point deadline, CommandResult& result) {
  bool output_open = true, errors_open = true, ended = false;
  while (output_open || errors_open || !ended) {
    std::array<pollfd, 3> watched{{{output_open ? output.get() : -1, POLLIN, 0},
                                   {errors_open ? errors.get() : -1, POLLIN, 0},
                                   {ended ? -1 : pidfd.get(), POLLIN, 0}}};
    int ready = ::poll(watched.data(), watched.size(), remaining_ms(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return ended;
    if (watched[0].revents != 0) output_open = drain(output.get(), result.output, kOutputLimit);
    if (watched[1].revents != 0) errors_open = drain(errors.get(), result.errors, kErrorsLimit);
    if (watched[2].revents != 0) {
      ended = true;
      deadline = std::min(deadline, Clock::now() + kLeftBehind);
    }
  }
  return true;
}

}  // namespace

Subprocess::Subprocess(const std::vector<std::string>& command, const SubprocessOptions& options)
    : lifetime_(options.lifetime) {
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd output;
  ChildStreams streams{.input = null.get()};
  if (!options.output_path.empty()) {
    output.reset(
        ::open(options.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!output) throw system_error(errno, "cannot open " + options.output_path);
    streams.output = streams.errors = output.get();
  }
  pid_ = spawn(command, streams, options);
  pidfd_ = open_pidfd(pid_);
}

Subprocess::~Subprocess() {
  if (!pidfd_ || status_ || lifetime_ != Lifetime::with_parent) return;
  signal(SIGKILL);
  wait_for(std::chrono::seconds(10));
}

std::optional<int> Subprocess::wait_for(std::chrono::milliseconds timeout) {
  auto deadline = Clock::now() + timeout;
  while (!status_) {
    pollfd watched{pidfd_.get(), POLLIN, 0};
    int ready = ::poll(&watched, 1, remaining_ms(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    int raw = 0;
    if (::waitpid(pid_, &raw, 0) == pid_) status_ = status_of(raw);
    else if (errno != EINTR) status_ = 127;
  }
  return status_;
}

void Subprocess::signal(int number) {
  if (!status_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

CommandResult run_command(const std::vector<std::string>& command,
                          std::chrono::milliseconds timeout, const FileJail* jail) {
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::array<int, 2> out_pipe, error_pipe;
  if (::pipe2(out_pipe.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  UniqueFd out_read(out_pipe[0]), out_write(out_pipe[1]);
  if (::pipe2(error_pipe.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  UniqueFd error_read(error_pipe[0]), error_write(error_pipe[1]);
  pid_t pid = spawn(command, {null.get(), out_write.get(), error_write.get()}, {.jail = jail},
                    Session::own);
  UniqueFd pidfd = open_pidfd(pid);
  out_write.reset();
  error_write.reset();

  CommandResult result;
  bool in_time = collect(pidfd, out_read, error_read, Clock::now() + timeout, result);
  if (!in_time) {
    ::kill(-pid, SIGKILL);
    // A process that hangs in the kernel is left to it: we do not wait forever.
    wait_until_ended(pidfd, Clock::now() + kKillTimeout);
  }
  int raw = 0;
  while (::waitpid(pid, &raw, in_time ? 0 : WNOHANG) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    throw Error(ErrorCode::unavailable,
                command.front() + " did not end within " +
                    format_duration_ms(static_cast<uint64_t>(timeout.count())));
  }
  result.status = status_of(raw);
  return result;
}

std::string run_checked(const std::vector<std::string>& command,
                        std::chrono::milliseconds timeout) {
  CommandResult result = run_command(command, timeout);
  if (result.status == 0) return std::move(result.output);
  std::string words = trim(result.errors.empty() ? result.output : result.errors);
  throw Error(ErrorCode::io, command.front() + " failed (status " + std::to_string(result.status) +
                                 ")" + (words.empty() ? "" : ": " + words));
}

}  // namespace base
