// Two coroutines on the network thread: one writes what is new, one reads what the client sends, so
// that its pongs and its close are seen. When one ends it cuts the connection, which ends the other.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <utility>

#include "appliance/api/http/live_answer.h"
#include "appliance/api/http/takeover.h"
#include "appliance/api/http/web_socket.h"
#include "base/error.h"
#include "base/log.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{250};
constexpr std::chrono::seconds kPingEvery{15};
constexpr std::chrono::seconds kLongestSilence{60};  // of the client, which answers pings
constexpr size_t kMaxFromClient = 4096;              // bytes, of one message

// Owned by both coroutines.
struct Session {
  Session(Transport& transport, const TakeoverTools& tools)
      : socket(transport, tools.executor), patience(tools.executor), pause(tools.executor),
        ended(tools.executor) {
    ended.expires_at(asio::steady_timer::time_point::max());
  }
  void cut() {
    is_cut = true;
    socket.next_layer().cut();
    pause.cancel();
  }

  SocketOverTransport socket;
  asio::steady_timer patience;  // for the write that is under way
  asio::steady_timer pause;     // of the writer
  asio::steady_timer ended;     // cancelled when the reader has ended
  bool is_cut = false, reader_has_ended = false;
  Clock::time_point heard = Clock::now();
};
using SessionPointer = std::shared_ptr<Session>;

asio::awaitable<void> read_client(SessionPointer session) {
  boost::beast::flat_buffer buffer;
  error_code failure;
  while (!failure) {
    co_await session->socket.async_read(buffer, asio::redirect_error(asio::use_awaitable, failure));
    session->heard = Clock::now();
    buffer.clear();
  }
}

// Cuts the connection unless the write ends in time: a close frame would not get through either.
void begin_write(const SessionPointer& session, const TakeoverTools& tools) {
  session->patience.expires_after(tools.write_timeout);
  session->patience.async_wait([session](error_code failure) {
    if (failure) return;
    base::log().info(
        "a WebSocket for events is cut off: its client does not read; it can follow again from the "
        "last event that it has");
    session->cut();
  });
}

asio::awaitable<void> write_lines(SessionPointer session, const TakeoverTools& tools,
                                  const std::string& lines) {
  for (size_t at = 0; at < lines.size();) {
    size_t end = std::min(lines.find('\n', at), lines.size());
    begin_write(session, tools);
    co_await session->socket.async_write(asio::buffer(lines.data() + at, end - at),
                                         asio::use_awaitable);
    session->patience.cancel();
    at = end + 1;
  }
}

asio::awaitable<void> close(SessionPointer session, const TakeoverTools& tools,
                            websocket::close_code code, const std::string& reason) {
  error_code ignored;
  begin_write(session, tools);
  co_await session->socket.async_close(websocket::close_reason(code, reason),
                                       asio::redirect_error(asio::use_awaitable, ignored));
  session->patience.cancel();
}

class LiveSocket : public Takeover {
 public:
  LiveSocket(LiveBody body, std::string end_reason)
      : body_(std::move(body)), end_reason_(std::move(end_reason)) {}

  asio::awaitable<void> serve(Transport& transport, const TakeoverTools& tools,
                              const UpgradeRequest& request) override {
    auto session = std::make_shared<Session>(transport, tools);
    set_up(session->socket, tools);
    session->socket.control_callback(
        [raw = session.get()](websocket::frame_type, boost::beast::string_view) {
          raw->heard = Clock::now();
        });
    transport.set_deadline(std::nullopt);  // this has its own
    co_await session->socket.async_accept(request, asio::use_awaitable);
    asio::co_spawn(tools.executor, read_client(session), [session](const std::exception_ptr&) {
      session->reader_has_ended = true;
      session->cut();
      session->ended.cancel();
    });
    try {
      co_await write_pieces(session, tools);
    } catch (const std::exception& error) {
      // Nothing may leave this before the reader has ended, which uses the transport too.
      base::log().debug("a WebSocket for events ended: {}", error.what());
    }
    session->patience.cancel();
    session->cut();
    while (!session->reader_has_ended) {
      error_code ignored;
      co_await session->ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

 private:
  static void set_up(SocketOverTransport& socket, const TakeoverTools& tools) {
    websocket::stream_base::timeout timeout{tools.write_timeout, websocket::stream_base::none(),
                                            false};
    socket.set_option(timeout);
    socket.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
      response.set(boost::beast::http::field::server, "mulettod");
    }));
    socket.text(true);
    socket.read_message_max(kMaxFromClient);
  }

  asio::awaitable<std::optional<std::string>> next(bool is_silent) const {
    std::optional<std::string> piece = body_.take();
    if (piece && piece->empty() && is_silent) piece = body_.sign_of_life();
    co_return piece;
  }

  asio::awaitable<void> write_pieces(SessionPointer session, const TakeoverTools& tools) {
    Clock::time_point written = Clock::now(), pinged = written;
    while (!session->is_cut) {
      bool is_silent = Clock::now() - written >= kPingEvery;
      std::optional<std::string> piece =
          co_await asio::co_spawn(tools.handlers, next(is_silent), asio::use_awaitable);
      if (session->is_cut) co_return;
      if (!piece || Clock::now() - session->heard > kLongestSilence) {
        // The last piece may have been the one that says what was missed.
        co_await close(session, tools, websocket::close_code::policy_error,
                       piece ? "no answer to pings for a minute" : end_reason_);
        co_return;
      }
      if (Clock::now() - pinged >= kPingEvery) {
        pinged = Clock::now();
        bool is_allowed = true;
        try {
          co_await tools.expect_still_allowed();
        } catch (const base::Error&) {
          is_allowed = false;
        }
        if (!is_allowed) {
          co_await close(session, tools, websocket::close_code::policy_error,
                         "its credentials no longer count: sign in again");
          co_return;
        }
        begin_write(session, tools);
        co_await session->socket.async_ping({}, asio::use_awaitable);
        session->patience.cancel();
      }
      if (!piece->empty()) {
        co_await write_lines(session, tools, *piece);
        written = Clock::now();
        continue;
      }
      error_code ignored;
      session->pause.expires_after(kPause);
      co_await session->pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  const LiveBody body_;
  const std::string end_reason_;
};

}  // namespace

std::shared_ptr<Takeover> make_live_socket(LiveBody body, std::string end_reason) {
  return std::make_shared<LiveSocket>(std::move(body), std::move(end_reason));
}

}  // namespace appliance::api
