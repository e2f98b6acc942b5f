// The daemon's network edge: HTTP/1.1 over TLS 1.3 on a TCP port, and unencrypted on a unix socket
// that only root can open. Connections are Asio coroutines on one thread with a deadline on every
// wait; handlers run on a small pool of threads that may block; an upgraded connection leaves Asio
// and is served by blocking code on a bounded number of threads of its own.
//
// Threads: see docs/threads.md. Thread-safety: one thread owns a Server; its handlers run on many.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "appliance/alerts/host_conduct.h"
#include "appliance/api/http/authenticator.h"
#include "appliance/api/http/router.h"
#include "appliance/audit/audit_log.h"
#include "appliance/config.h"
#include "base/byte_stream.h"
#include "base/tls_context.h"

namespace appliance::api {

struct ServerLimits {
  size_t connections = 256;  // concurrent, on each address to listen on; more wait in the kernel
  // Of these: strangers, who have not yet shown a host's certificate or a valid token. A new one
  // replaces the oldest, so that agents and operators always get in.
  size_t strangers = 128;
  size_t strangers_of_address = 32;  // of one peer's address
  size_t of_principal = 64;          // of one host or token
  size_t handler_threads = 6;
  // Sessions of agents, each with a thread; further ones are told to retry. In addition there is
  // one slot for a host that has no session, and one for a tenant that has none.
  size_t upgraded_connections = 8;
  size_t host_sessions = 4;               // of one host
  size_t websockets = 64;                 // to the screens of VMs; they count as connections, too
  size_t live_answers = 64;               // that have no end; they count as connections, too
  size_t live_answers_of_principal = 16;  // of one token, or of root
  std::chrono::seconds handshake_timeout{10};
  std::chrono::seconds request_timeout{
      30};  // from a request's first byte to its last, and for the answer
  std::chrono::seconds idle_timeout{75};            // between two requests
  std::chrono::seconds stranger_timeout{10};        // the same, of a stranger
  double agent_burst = 60, agent_rate = 10;         // requests of one host; per second
  double stranger_burst = 400, stranger_rate = 20;  // of all strangers at one address; per second
};

struct ServerOptions {
  ListenAddress listen;
  std::string socket_path;
  ServerLimits limits;
  // Called for hosts that go beyond their limits, by any thread; may be empty.
  std::function<void(const catalog::Host&, const alerts::Misconduct&)> misconduct{};
  audit::AuditLog* audit = nullptr;  // outlives the server; null only in tests
};

// Serves one upgraded connection to its end; runs on a thread of its own. What it throws is logged.
// Server::stop() aborts the stream.
using UpgradeHandler = std::function<void(base::ByteStream& stream, const Principal& principal)>;

class Server {
 public:
  // Binds both addresses; nothing is served before start(). All references must outlive the server.
  // Throws busy (port in use), invalid_argument (not an address of this machine), unauthorized.
  Server(const ServerOptions& options, const Router& router, Authenticator& authenticator,
         const base::TlsContext& tls, UpgradeHandler on_upgrade);
  ~Server();  // as stop()

  uint16_t port() const;  // the one that was bound
  void start();
  // Accepts no more connections, closes the existing ones (including upgraded ones) and waits for
  // all threads.
  void stop();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace appliance::api
