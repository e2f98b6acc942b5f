// Two coroutines on the network thread, one per direction. Each reads a block, writes all of it,
// and only then reads again: so a slow reader delays its writer, and nothing accumulates here. When
// one ends it closes both connections, which ends the other.
#include "appliance/api/console/vnc_screens.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/websocket.hpp>
#include <functional>
#include <map>

#include "appliance/api/console/vnc_login.h"
#include "appliance/api/http/takeover.h"
#include "appliance/api/http/web_socket.h"
#include "base/error.h"
#include "base/log.h"

namespace appliance::api {
namespace asio = boost::asio;

// Lets one connection at a time log in to a VM's screen, while others wait. QEMU listens with a
// queue of one: if several connect at once, the kernel drops handshakes in a way that makes them
// hang. Used only by the network thread.
class VncLoginQueues {
 public:
  // Of one VM; it exists while somebody waits or logs in.
  struct Queue {
    explicit Queue(const asio::any_io_executor& executor) : changed(executor) {
      changed.expires_at(asio::steady_timer::time_point::max());
    }
    bool is_taken = false;
    std::exception_ptr failure;  // of the one before: who waits for it does not try again
    asio::steady_timer changed;  // cancelled when the door is free again
  };
  std::shared_ptr<Queue> of(uint16_t port, const asio::any_io_executor& executor) {
    std::erase_if(queues_, [](const auto& queue) { return queue.second.expired(); });
    std::shared_ptr<Queue> queue = queues_[port].lock();
    if (!queue || queue->failure) queues_[port] = queue = std::make_shared<Queue>(executor);
    return queue;
  }

 private:
  std::map<uint16_t, std::weak_ptr<Queue>> queues_;
};

namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr size_t kBlockSize = kWebSocketBlock;     // bytes
constexpr std::chrono::seconds kLoginTimeout{10};  // of the client's part of the VNC handshake
// An attempt to reach the VM's screen. The second attempt is for a handshake that was lost to
// another client of QEMU.
constexpr std::array<std::chrono::seconds, 2> kVmAttempts{std::chrono::seconds{3},
                                                          std::chrono::seconds{10}};
constexpr std::chrono::seconds kSilenceTimeout{60};  // a ping goes out after half of it

using Socket = SocketOverTransport;

// Owned by both directions.
struct Session {
  Session(Transport& transport, const asio::any_io_executor& executor)
      : client(transport, executor), vm(executor), ended(executor) {
    ended.expires_at(asio::steady_timer::time_point::max());
  }
  void cut() {
    error_code ignored;
    client.next_layer().cut();
    vm.close(ignored);
  }

  Socket client;
  tcp::socket vm;
  asio::steady_timer ended;  // cancelled when the client's direction has ended
  bool client_has_ended = false;
};
using SessionPointer = std::shared_ptr<Session>;

VncPeer peer_of_client(SessionPointer session) {
  return {[session](base::MutableByteView out) -> asio::awaitable<void> {
            while (!out.empty()) {
              size_t count = co_await session->client.async_read_some(
                  asio::buffer(out.data(), out.size()), asio::use_awaitable);
              out = out.subspan(count);
            }
          },
          [session](base::ByteView bytes) -> asio::awaitable<void> {
            co_await session->client.async_write(asio::buffer(bytes.data(), bytes.size()),
                                                 asio::use_awaitable);
          }};
}

VncPeer peer_of_vm(SessionPointer session) {
  return {[session](base::MutableByteView out) -> asio::awaitable<void> {
            co_await asio::async_read(session->vm, asio::buffer(out.data(), out.size()),
                                      asio::use_awaitable);
          },
          [session](base::ByteView bytes) -> asio::awaitable<void> {
            co_await asio::async_write(session->vm, asio::buffer(bytes.data(), bytes.size()),
                                       asio::use_awaitable);
          }};
}

// Calls an action unless it is stopped in time.
class Watchdog {
 public:
  Watchdog(const asio::any_io_executor& executor, std::chrono::seconds patience,
           std::function<void()> bite)
      : timer_(executor, patience) {
    timer_.async_wait([armed = armed_, bite = std::move(bite)](error_code failure) {
      if (!failure && *armed) bite();
    });
  }
  ~Watchdog() { *armed_ = false; }  // the timer cancels its own wait
  void stop() {
    *armed_ = false;  // its time may already be up, and its handler scheduled
    timer_.cancel();
  }

 private:
  std::shared_ptr<bool> armed_ = std::make_shared<bool>(true);
  asio::steady_timer timer_;
};

// Throws system_error if the VM does not answer in time, base::Error if it refuses.
asio::awaitable<void> try_vm(SessionPointer session, const VncAddress& address,
                             std::chrono::seconds patience) {
  auto executor = co_await asio::this_coro::executor;
  session->vm = tcp::socket(executor);
  Watchdog watchdog(executor, patience, [session] {
    error_code ignored;
    session->vm.close(ignored);
  });
  co_await session->vm.async_connect(
      tcp::endpoint(asio::ip::make_address(address.host), address.port), asio::use_awaitable);
  session->vm.set_option(tcp::no_delay(true));
  co_await log_in_to_vm(peer_of_vm(session), address.password);
  watchdog.stop();
}

asio::awaitable<void> connect_to_vm(SessionPointer session, const VncAddress& address) {
  std::string reason;
  for (std::chrono::seconds patience : kVmAttempts) {
    try {
      co_await try_vm(session, address, patience);
      co_return;
    } catch (const boost::system::system_error& failure) {
      reason = failure.code() == asio::error::operation_aborted ? "it is silent"
                                                                : failure.code().message();
      if (failure.code() == asio::error::connection_refused) break;
    }
  }
  throw base::Error(base::ErrorCode::unavailable, "the VM's screen does not answer: " + reason);
}

// One after the other. A connection that waits while another finds the screen dead does not try it
// again.
asio::awaitable<void> connect_in_turn(SessionPointer session, VncLoginQueues& queues,
                                      const VncAddress& address) {
  auto queue = queues.of(address.port, co_await asio::this_coro::executor);
  while (queue->is_taken) {
    error_code ignored;
    co_await queue->changed.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (queue->failure) std::rethrow_exception(queue->failure);
  }
  queue->is_taken = true;
  try {
    co_await connect_to_vm(session, address);
  } catch (...) {
    queue->failure = std::current_exception();
  }
  queue->is_taken = false;
  queue->changed.cancel();
  if (queue->failure) std::rethrow_exception(queue->failure);
}

asio::awaitable<void> client_to_vm(SessionPointer session) {
  std::vector<uint8_t> block(kBlockSize);
  error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  while (!failure) {
    size_t count = co_await session->client.async_read_some(asio::buffer(block), token);
    if (!failure) co_await asio::async_write(session->vm, asio::buffer(block, count), token);
  }
}

asio::awaitable<void> vm_to_client(SessionPointer session) {
  std::vector<uint8_t> block(kBlockSize);
  error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  while (!failure) {
    size_t count = co_await session->vm.async_read_some(asio::buffer(block), token);
    if (!failure) co_await session->client.async_write(asio::buffer(block, count), token);
  }
  if (!session->client_has_ended && failure == asio::error::eof) {
    websocket::close_reason reason(websocket::close_code::going_away, "the VM has ended");
    co_await session->client.async_close(reason,
                                         asio::redirect_error(asio::use_awaitable, failure));
  }
  session->cut();
}

void set_up(Socket& client) {
  websocket::stream_base::timeout timeout{kLoginTimeout, kSilenceTimeout, true};
  client.set_option(timeout);
  client.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
    response.set(beast::http::field::server, "mulettod");
  }));
  client.binary(true);
  client.auto_fragment(false);
  // Blocks are forwarded as they arrive: a message is never held as a whole.
  client.read_message_max(0);
}

asio::awaitable<void> serve_screen(Transport& transport, asio::any_io_executor executor,
                                   const UpgradeRequest& upgrade, VncLoginQueues& queues,
                                   const VncAddress& address) {
  auto session = std::make_shared<Session>(transport, executor);
  co_await connect_in_turn(session, queues, address);
  Watchdog watchdog(executor, kLoginTimeout, [session] { session->cut(); });
  transport.set_deadline(std::nullopt);  // the WebSocket has its own
  set_up(session->client);
  co_await session->client.async_accept(upgrade, asio::use_awaitable);
  co_await let_client_in(peer_of_client(session));
  const std::array<uint8_t, 1> shared{1};  // several people may watch one screen
  co_await peer_of_vm(session).write(shared);
  watchdog.stop();

  asio::co_spawn(executor, client_to_vm(session), [session](const std::exception_ptr&) {
    // Even if it threw: the other direction waits for this to end.
    session->cut();
    session->client_has_ended = true;
    session->ended.cancel();
  });
  co_await vm_to_client(session);
  while (!session->client_has_ended) {
    error_code ignored;
    co_await session->ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

class ScreenTakeover : public Takeover {
 public:
  ScreenTakeover(std::shared_ptr<VncLoginQueues> queues, VncAddress address)
      : queues_(std::move(queues)), address_(std::move(address)) {}

  asio::awaitable<void> serve(Transport& transport, const TakeoverTools& tools,
                              const UpgradeRequest& request) override {
    co_await serve_screen(transport, tools.executor, request, *queues_, address_);
  }

 private:
  const std::shared_ptr<VncLoginQueues> queues_;
  const VncAddress address_;
};

}  // namespace

VncScreens::VncScreens() : queues_(std::make_shared<VncLoginQueues>()) {}

std::shared_ptr<Takeover> VncScreens::open(const VncAddress& address) const {
  return std::make_shared<ScreenTakeover>(queues_, address);
}

}  // namespace appliance::api
