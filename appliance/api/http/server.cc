#include "appliance/api/http/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <map>
#include <set>

#include "appliance/api/http/connection.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "base/internal_errors.h"
#include "base/log.h"
#include "base/repeated_log.h"

namespace appliance::api {

namespace asio = boost::asio;
using base::Error;
using base::ErrorCode;
using tcp = asio::ip::tcp;
using local = asio::local::stream_protocol;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{
    200};  // after a failure such as "too many open files"
// One for a host without a session, and one for a tenant without.
constexpr size_t kSparePlaces = 2;

// Asio creates sockets that child processes would inherit: a child could answer in the daemon's
// place, and keep the port bound after the daemon has ended.
void keep_from_children(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

[[noreturn]] void fail(const boost::system::error_code& reason, const std::string& action) {
  throw base::system_error(reason.value(), action);
}

tcp::endpoint resolve(const ListenAddress& address) {
  boost::system::error_code failure;
  auto ip =
      asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, failure);
  if (failure) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not an IP address to listen on", address.host.substr(0, 80)));
  }
  return {ip, address.port};
}

tcp::acceptor bind_tcp(asio::io_context& context, const ListenAddress& address) {
  tcp::endpoint endpoint = resolve(address);
  tcp::acceptor acceptor(context);
  boost::system::error_code failure;
  std::string action = "cannot listen on " + address.text();
  acceptor.open(endpoint.protocol(), failure);
  if (failure) fail(failure, action);
  keep_from_children(acceptor.native_handle());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  acceptor.bind(endpoint, failure);
  if (!failure) acceptor.listen(asio::socket_base::max_listen_connections, failure);
  if (failure == asio::error::address_in_use) {
    throw Error(
        ErrorCode::busy,
        fmt::format("{}: another program uses this port; choose one with --listen", action));
  }
  if (failure == asio::error::access_denied) fail(failure, action);
  if (failure)
    throw Error(ErrorCode::invalid_argument, fmt::format("{}: {}", action, failure.message()));
  return acceptor;
}

// The caller holds the run directory's lock, so an existing socket was left by a dead daemon.
local::acceptor bind_local(asio::io_context& context, const std::string& path) {
  ::unlink(path.c_str());
  local::acceptor acceptor(context);
  boost::system::error_code failure;
  acceptor.open(local(), failure);
  if (failure) fail(failure, "cannot make a socket");
  keep_from_children(acceptor.native_handle());
  mode_t former = ::umask(0177);  // 0600 from the first instant; no other thread runs yet
  acceptor.bind(local::endpoint(path), failure);
  ::umask(former);
  if (!failure) acceptor.listen(asio::socket_base::max_listen_connections, failure);
  if (failure) fail(failure, "cannot listen on " + path);
  return acceptor;
}

// An SSL_CTX that Asio may free as its own.
asio::ssl::context share(const base::TlsContext& tls) {
  SSL_CTX_up_ref(tls.native());
  return asio::ssl::context(tls.native());
}

}  // namespace

class Server::Implementation {
 public:
  Implementation(const ServerOptions& options, const Router& router, Authenticator& authenticator,
                 const base::TlsContext& tls, UpgradeHandler on_upgrade)
      : options_(options), on_upgrade_(std::move(on_upgrade)), tls_(share(tls)),
        tcp_acceptor_(bind_tcp(context_, options.listen)),
        local_acceptor_(bind_local(context_, options.socket_path)),
        handlers_(options.limits.handler_threads),
        transfers_(options.limits.upgraded_connections + kSparePlaces),
        services_{router,
                  authenticator,
                  options_.limits,
                  handlers_,
                  [this](const Principal& principal) { return reserve_upgrade(principal); },
                  [this](const ConnectionSlot& slot) { return has_room(slot); },
                  options_.misconduct,
                  options_.audit,
                  RateLimit(options.limits.agent_burst, options.limits.agent_rate),
                  RateLimit(options.limits.stranger_burst, options.limits.stranger_rate)} {}

  ~Implementation() { stop(); }

  uint16_t port() const { return tcp_acceptor_.local_endpoint().port(); }

  void start() {
    begin_accepting(tcp_acceptor_, tcp_slots_);
    begin_accepting(local_acceptor_, local_slots_);
    // When run() is restarted, all connections continue except the one whose handler threw.
    thread_ = base::GuardedThread("network", base::AfterFailure::begin_again,
                                  [this](const std::stop_token&) { context_.run(); });
  }

  void stop() {
    if (stopped_.exchange(true)) return;
    {
      auto upgraded = upgraded_.lock();
      for (base::ByteStream* stream : *upgraded) stream->abort();
    }
    // Destroying the coroutines closes their sockets; running handlers end by themselves.
    context_.stop();
    if (thread_.joinable()) thread_.join();
    handlers_.join();
    transfers_.join();
    ::unlink(options_.socket_path.c_str());
  }

 private:
  using Slots = std::list<ConnectionSlot>;

  asio::awaitable<void> serve(tcp::socket socket, ConnectionSlot& slot) {
    boost::system::error_code gone;
    auto peer = socket.remote_endpoint(gone);
    if (!gone) slot.address = peer.address().to_string();
    make_room(slot);
    return serve_connection(make_tls_transport(std::move(socket), tls_), services_, slot);
  }
  asio::awaitable<void> serve(local::socket socket, ConnectionSlot& slot) {
    return serve_connection(make_local_transport(std::move(socket)), services_, slot);
  }

  // Closes the connections of the oldest strangers (they are in order of arrival) until there is
  // room for this one, which has no transport yet.
  void make_room(const ConnectionSlot& arrived) {
    auto is_stranger = [&](const ConnectionSlot& slot) {
      return slot.transport != nullptr && slot.principal.empty() && !slot.is_cut;
    };
    size_t strangers = 0, of_address = 0;
    for (const ConnectionSlot& slot : tcp_slots_) {
      if (!is_stranger(slot)) continue;
      ++strangers;
      of_address += slot.address == arrived.address ? 1 : 0;
    }
    for (ConnectionSlot& slot : tcp_slots_) {
      bool too_many_of_address = of_address >= options_.limits.strangers_of_address;
      if (strangers < options_.limits.strangers && !too_many_of_address) return;
      if (!is_stranger(slot) || (too_many_of_address && slot.address != arrived.address)) continue;
      slot.is_cut = true;
      slot.transport->cut();
      --strangers;
      if (slot.address == arrived.address) --of_address;
    }
  }

  bool has_room(const ConnectionSlot& slot) const {
    if (slot.address.empty() || slot.principal.empty()) return true;
    auto count = std::count_if(tcp_slots_.begin(), tcp_slots_.end(), [&](const auto& each) {
      return each.principal == slot.principal && each.transport != nullptr;
    });
    return static_cast<size_t>(count) <= options_.limits.of_principal;
  }

  // The outer boundary of one connection that cannot even be started (no memory for its TLS).
  template <typename Socket>
  void serve_counted(Socket socket, Slots& slots) {
    auto slot = slots.emplace(slots.end());
    bool begun = base::run_guarded("a new connection", [&] {
      asio::co_spawn(context_, serve(std::move(socket), *slot),
                     [&slots, slot](const std::exception_ptr&) { slots.erase(slot); });
    });
    if (!begun) slots.erase(slot);
  }

  // Accepting ends only with the server: if an exception ends it, it is restarted at once.
  template <typename Acceptor>
  void begin_accepting(Acceptor& acceptor, Slots& slots) {
    asio::co_spawn(context_, accept(acceptor, slots),
                   [this, &acceptor, &slots](const std::exception_ptr& failure) {
                     if (!failure || stopped_) return;
                     base::report_internal_error("accepting connections",
                                                 base::describe_exception(failure));
                     begin_accepting(acceptor, slots);
                   });
  }

  // Pauses while the maximum number of connections is open.
  template <typename Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor, Slots& slots) {
    asio::steady_timer pause(context_);
    while (!stopped_) {
      accept_log_.end_round();
      boost::system::error_code failure;
      if (slots.size() >= options_.limits.connections) {
        failure = asio::error::no_descriptors;
      } else {
        auto socket =
            co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
        if (!failure) {
          keep_from_children(socket.native_handle());
          serve_counted(std::move(socket), slots);
          continue;
        }
        accept_log_.warn("cannot accept a connection: " + failure.message());
      }
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
    }
  }

  // How many sessions there are.
  struct Sessions {
    size_t count = 0;
    std::map<catalog::HostId, size_t> of_host;
    std::map<access::TenantName, size_t> of_tenant;
  };

  // The slots beyond the shared ones are for hosts and tenants without a session: no host and no
  // tenant can take all.
  // All imports and fetches count as one host.
  void take_place(const catalog::HostId& host, const catalog::TenantName& tenant) {
    auto sessions = sessions_.lock();
    size_t of_host = sessions->of_host[host], of_tenant = sessions->of_tenant[tenant];
    size_t places =
        options_.limits.upgraded_connections + (of_host == 0 ? 1 : 0) + (of_tenant == 0 ? 1 : 0);
    if (of_host >= options_.limits.host_sessions) {
      throw Error(ErrorCode::busy, fmt::format("{} sessions of this host, or imports and restores "
                                               "elsewhere, already run; try again later",
                                               of_host));
    }
    if (stopped_ || sessions->count >= places) {
      throw Error(ErrorCode::busy,
                  fmt::format("{} agents are already streaming; try again later", sessions->count));
    }
    ++sessions->count;
    ++sessions->of_host[host];
    ++sessions->of_tenant[tenant];
  }

  void give_place_back(const catalog::HostId& host, const catalog::TenantName& tenant) {
    auto sessions = sessions_.lock();
    --sessions->count;
    if (--sessions->of_host[host] == 0) sessions->of_host.erase(host);
    if (--sessions->of_tenant[tenant] == 0) sessions->of_tenant.erase(tenant);
  }

  HandOver reserve_upgrade(const Principal& sender) {
    catalog::HostId host = sender.host ? sender.host->id : catalog::HostId{};
    catalog::TenantName tenant = sender.host      ? sender.host->tenant
                                 : sender.fetches ? sender.fetches->tenant
                                                  : sender.imports_into.value();
    take_place(host, tenant);
    std::shared_ptr<void> slot(nullptr,
                               [this, host, tenant](void*) { give_place_back(host, tenant); });
    return [this, slot](std::unique_ptr<base::ByteStream> stream, Principal principal) {
      std::shared_ptr<base::ByteStream> shared(std::move(stream));
      asio::post(transfers_, [this, slot, shared, principal = std::move(principal)] {
        serve_upgraded(shared, principal);
      });
    };
  }

  // The outer boundary of one upgraded connection.
  void serve_upgraded(const std::shared_ptr<base::ByteStream>& stream, const Principal& principal) {
    base::run_guarded("a session", [&] {
      upgraded_.lock()->insert(stream.get());
      if (stopped_) stream->abort();
      try {
        on_upgrade_(*stream, principal);
      } catch (const std::exception& error) {
        base::log().warn("the session of {} ({}) ended: {}", principal.name, stream->peer(),
                         error.what());
      }
    });
    upgraded_.lock()->erase(stream.get());
  }

  const ServerOptions options_;
  UpgradeHandler on_upgrade_;
  std::atomic<bool> stopped_{false};
  // Used only by the network thread. There are two, so that a crowd at the port does not keep the
  // operator out.
  Slots tcp_slots_, local_slots_;
  base::RepeatedLog accept_log_;  // accepting is retried five times a second
  base::Guarded<Sessions> sessions_;
  base::Guarded<std::set<base::ByteStream*>> upgraded_;
  // Destroyed after the pools below: a coroutine that waits for a handler must outlive the handler.
  asio::io_context context_{1};
  asio::ssl::context tls_;
  tcp::acceptor tcp_acceptor_;
  local::acceptor local_acceptor_;
  asio::thread_pool handlers_;
  asio::thread_pool transfers_;
  ConnectionServices services_;
  base::GuardedThread thread_;
};

Server::Server(const ServerOptions& options, const Router& router, Authenticator& authenticator,
               const base::TlsContext& tls, UpgradeHandler on_upgrade)
    : implementation_(std::make_unique<Implementation>(options, router, authenticator, tls,
                                                       std::move(on_upgrade))) {}

Server::~Server() = default;

uint16_t Server::port() const { return implementation_->port(); }
void Server::start() { implementation_->start(); }
void Server::stop() { implementation_->stop(); }

}  // namespace appliance::api
