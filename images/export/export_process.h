// One nbdkit process that serves disks of one point, read-only, on a unix socket.
//
// A process is recognised by three things: its command line has `-U SOCKET`, which nothing else
// uses; the program it runs is named nbdkit; and all its user ids are this process's. Anyone can
// choose any command line; the other two are guaranteed by the kernel. So it is found again after
// any crash without a pid file that could be stale. A reused pid is never touched: before a signal
// is sent, the process is pinned by a pidfd and checked again. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "images/store_reference.h"

namespace images {

struct ExportOptions {
  StoreReference store;            // absolute paths
  std::string point;               // its id in hex
  std::vector<std::string> disks;  // the disks to serve, each under its name
  std::string socket_path;  // at most 107 bytes; its folder exists; a stale socket is replaced
  // Who may use the socket besides root: it belongs to that user, with mode 0600.
  std::optional<uid_t> socket_owner;  // none: this process's user
  std::string log_path;     // nbdkit's messages are appended; empty: kept only until it is ready
  std::string plugin_path;  // empty: default_plugin_path()
  // Instead of the plugin and its parameters: what follows nbdkit's own options. For tests.
  std::vector<std::string> plugin_command;
  uint32_t thread_count = 16;         // concurrent requests
  uint64_t cache_size = 64ull << 20;  // bytes of memory
  uint64_t disk_cache_size = 0;       // bytes of disk; 0: none
  std::string cache_directory = "/var/tmp";
  std::string record_trace_path;    // where it records what the guest's boot reads; empty: nowhere
  std::string prefetch_trace_path;  // such a file, to be prefetched; empty: none
  // with_parent: ends with the thread that started it. independent: a child of init, runs until it
  // is stopped.
  base::Lifetime lifetime = base::Lifetime::with_parent;
  std::chrono::milliseconds ready_timeout = std::chrono::seconds(30);
};

// $MULETTO_PLUGIN, otherwise nbdkit-muletto-plugin.so in the running program's folder, or in
// nbdkit's plugin folder. Throws not_found.
std::string default_plugin_path();

class NbdkitLog;

class ExportProcess {
 public:
  // Returns when every disk of `options` can be opened by an NBD client. Throws unavailable (or
  // invalid_argument, not_found, unauthorized if that is certain) with nbdkit's own message;
  // nothing is running and no socket is left then.
  static ExportProcess start(const ExportOptions& options);

  // The export that runs on this socket, whoever started it.
  static std::optional<ExportProcess> find(const std::string& socket_path);
  // All exports on sockets anywhere below this folder.
  static std::vector<ExportProcess> find_below(const std::string& directory);

  ExportProcess(ExportProcess&&) noexcept = default;
  ExportProcess& operator=(ExportProcess&&) = delete;
  // Ends a with_parent process and removes its socket; leaves an independent or a found one
  // running.
  ~ExportProcess();

  pid_t pid() const { return pid_; }
  const std::string& socket_path() const { return socket_path_; }
  bool is_running();
  // True once it has ended; waits at most `timeout`.
  bool wait_for_end(std::chrono::milliseconds timeout);

  // Ends it and removes the socket. Clients must have disconnected: one that is still connected
  // would be told that the server is shutting down, which a guest sees as a bad disk. After `grace`
  // the process is killed instead, which such a client sees only as a lost connection.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(3));

 private:
  ExportProcess(pid_t pid, base::UniqueFd pidfd, std::string socket_path);
  static ExportProcess launch(const ExportOptions& options, const NbdkitLog& log);

  pid_t pid_;
  base::UniqueFd pidfd_;
  std::string socket_path_;
  std::optional<base::Subprocess> child_;  // if this object started it
  bool owned_ = false;
};

// "nbd+unix:///DISK?socket=PATH", escaped.
std::string export_uri(const std::string& socket_path, const std::string& disk_name);

}  // namespace images
