#include "appliance/verify/vm_processes.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace appliance::verify {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFindEvery{10}, kReadEvery{1};
constexpr int kNice = 10;
constexpr int kLowestBestEffort = 2 << 13 | 7;  // the I/O priority, as encoded by ioprio_set(2)

// The process id that a folder of /proc is named after.
std::optional<pid_t> process_id(const std::filesystem::path& folder) {
  std::string name = folder.filename();
  pid_t id = 0;
  auto result = std::from_chars(name.data(), name.data() + name.size(), id);
  return result.ec == std::errc() ? std::optional(id) : std::nullopt;
}

std::filesystem::path tasks_of(pid_t process) {
  return std::filesystem::path("/proc") / std::to_string(process) / "task";
}

// Calls action(PATH) for each thread of the process, if it still exists.
template <typename Action>
void each_thread(pid_t process, Action action) {
  std::error_code error;
  std::filesystem::directory_iterator tasks(tasks_of(process), error), end;
  while (!error && tasks != end) {
    action(tasks->path());
    tasks.increment(error);
  }
}

}  // namespace

void VmProcesses::find() {
  processes_.clear();
  std::error_code error;
  std::filesystem::directory_iterator all("/proc", error), end;
  for (; !error && all != end; all.increment(error)) {
    auto process = process_id(all->path());
    if (!process) continue;
    std::ifstream file(all->path() / "cmdline");
    std::stringstream arguments;
    arguments << file.rdbuf();
    if (arguments.str().find(id_) != std::string::npos) processes_.push_back(*process);
  }
  found_ = Clock::now();
}

void VmProcesses::lower_priority() {
  find();
  for (pid_t process : processes_) {
    if (::getsid(process) != ::getsid(0))
      std::ofstream(std::filesystem::path("/proc") / std::to_string(process) / "autogroup")
          << kNice;
    each_thread(process, [](const std::filesystem::path& path) {
      auto thread = process_id(path);
      if (!thread) return;
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(*thread), kNice);
      ::syscall(SYS_ioprio_set, 1, *thread, kLowestBestEffort);
    });
  }
}

std::map<pid_t, uint64_t> VmProcesses::read_waits() const {
  std::map<pid_t, uint64_t> waits;
  for (pid_t process : processes_) {
    each_thread(process, [&](const std::filesystem::path& path) {
      uint64_t ran_ns = 0, waited_ns = 0;
      auto thread = process_id(path);
      if (thread && std::ifstream(path / "schedstat") >> ran_ns >> waited_ns)
        waits[*thread] = waited_ns;
    });
  }
  return waits;
}

void VmProcesses::begin_waiting() {
  begin_ = read_waits();
  waited_ms_ = 0;
  read_ = Clock::now();
}

uint64_t VmProcesses::waited_ms() {
  auto now = Clock::now();
  if (now < read_ + kReadEvery) return waited_ms_;
  if (now >= found_ + kFindEvery) find();
  read_ = now;
  for (auto [thread, waited_ns] : read_waits()) {
    auto before = begin_.find(thread);
    uint64_t since_ns =
        waited_ns - (before == begin_.end() ? 0 : std::min(before->second, waited_ns));
    waited_ms_ = std::max(waited_ms_, since_ns / 1'000'000);
  }
  return waited_ms_;
}

}  // namespace appliance::verify
