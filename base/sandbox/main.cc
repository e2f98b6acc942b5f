// muletto-sandbox: runs one command confined, as base/confinement.h promises. Three processes:
//
//   this one    waits and passes the status on; it dies with its starter
//   the first   of the new process namespace: arranges the file system, reaps; the kernel ends
//               everything in the namespace with it, and it ends with this one
//   the command after it has given up all privileges
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/confinement.h"
#include "base/sandbox/file_view.h"
#include "base/sandbox/options.h"
#include "base/sandbox/rights.h"

namespace base::sandbox {
namespace {

// Higher than any id that the system gives to people, services and containers (systemd's "unused"
// range).
constexpr uid_t kFirstUser = 0x70000000;
constexpr pid_t kMaxPid = 1 << 22;  // on Linux

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

// Waits for `child`, and reaps every other process that ends in the meantime.
int wait_for(pid_t child) {
  while (true) {
    int raw = 0;
    pid_t ended = ::waitpid(-1, &raw, 0);
    if (ended == child) return status_of(raw);
    if (ended < 0 && errno != EINTR) return kNotConfined;
  }
}

// `alive` becomes readable or closed when the parent is gone.
void die_with_parent(int alive) {
  expect(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "cannot die with its starter");
  pollfd watched{alive, POLLIN, 0};
  if (::poll(&watched, 1, 0) != 0) ::_exit(kNotConfined);
}

void enter_namespaces(const Options& options) {
  int wanted = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (options.namespaces_of != 0) {
    int process = static_cast<int>(::syscall(SYS_pidfd_open, options.namespaces_of, 0));
    expect(process, "cannot find the process whose files are to be visible");
    expect(::setns(process, CLONE_NEWNS | CLONE_NEWNET), "cannot enter its namespaces");
    ::close(process);
  }
  if (!options.keeps_network) wanted |= CLONE_NEWNET;
  expect(::unshare(wanted), "no namespaces");
}

[[noreturn]] void run(const Options& options, int program, uid_t user) {
  set_limits(options);
  drop_rights(user);
  filter_system_calls(options.keeps_network);
  ::umask(077);
  if (::chdir("/") != 0) give_up("no root folder");
  static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/tmp",
              temporary[] = "TMPDIR=/tmp", language[] = "LC_ALL=C.UTF-8";
  std::array<char*, 5> environment{path, home, temporary, language, nullptr};
  ::environ = environment.data();  // a command without a path is searched along the new PATH
  if (program >= 0)
    ::syscall(SYS_execveat, program, "", options.command, environment.data(), AT_EMPTY_PATH);
  else ::execvp(options.command[0], options.command);
  int reason = errno;
  std::fprintf(stderr, "%s cannot be run: %s\n", options.command[0], std::strerror(reason));
  ::_exit(reason == ENOENT ? 127 : 126);
}

[[noreturn]] void be_first(const Options& options, int folder, int program, uid_t user, int alive) {
  die_with_parent(alive);
  arrange_files(folder, options.writable_path);
  pid_t child = ::fork();
  expect(child, "no process");
  if (child == 0) run(options, program, user);
  ::close(0);
  ::close(1);
  ::_exit(wait_for(child));
}

// Found before the file it is in becomes invisible to the command; -1: it is found by its name.
int find_program(const char* name) {
  bool has_path = std::strchr(name, '/') != nullptr;
  bool in_place = std::strncmp(name, kConfinedPlace, sizeof kConfinedPlace - 1) == 0;
  if (!has_path || in_place) return -1;
  int program = ::open(name, O_PATH | O_CLOEXEC);
  if (program >= 0) return program;
  std::fprintf(stderr, "%s cannot be run: %s\n", name, std::strerror(errno));
  ::_exit(127);
}

void take_input(const std::string& path) {
  if (path.empty()) return;
  int input = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (input < 0 || ::dup2(input, 0) < 0) give_up("cannot read " + path);
}

}  // namespace
}  // namespace base::sandbox

int main(int count, char** words) {
  using namespace base::sandbox;
  Options options = parse_options(count, words);
  uid_t user = kFirstUser + static_cast<uid_t>(::getpid() % kMaxPid);
  take_input(options.input_path);
  int program = find_program(options.command[0]), folder = take_folder(options.place);
  std::array<int, 2> alive{};
  expect(::pipe2(alive.data(), O_CLOEXEC), "no pipe");
  enter_namespaces(options);
  pid_t first = ::fork();
  expect(first, "no process");
  if (first == 0) {
    ::close(alive[1]);
    be_first(options, folder, program, user, alive[0]);
  }
  return wait_for(first);
}
