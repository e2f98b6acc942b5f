#include "appliance/api/http/live_answer.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "appliance/api/http/takeover.h"
#include "base/error.h"
#include "base/log.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{250};
constexpr std::chrono::seconds kLongestSilence{15};

class LiveAnswer : public Takeover {
 public:
  explicit LiveAnswer(LiveBody body) : body_(std::move(body)) {}

  TakeoverKind kind() const override { return TakeoverKind::live_answer; }

  asio::awaitable<void> serve(Transport& transport, const TakeoverTools& tools,
                              const UpgradeRequest&) override {
    const std::string head = fmt::format(
        "HTTP/1.1 200 OK\r\nServer: mulettod\r\nContent-Type: {}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
        body_.content_type);
    const std::string end = "0\r\n\r\n";
    try {
      co_await write(transport, tools, head);
      co_await write_pieces(transport, tools);
      co_await write(transport, tools, end);
      co_await transport.close();
    } catch (const base::Error& error) {
      // An error must not become a second answer.
      base::log().info("a live answer is cut off: {}", error.message());
      transport.cut();
    }
  }

 private:
  static asio::awaitable<void> write(Transport& transport, const TakeoverTools& tools,
                                     const std::string& text) {
    transport.set_deadline(tools.write_timeout);
    co_await transport.write_all(base::as_bytes(text));
    transport.set_deadline(std::nullopt);
  }

  asio::awaitable<std::optional<std::string>> next(bool is_silent) const {
    std::optional<std::string> piece = body_.take();
    if (piece && piece->empty() && is_silent) piece = body_.sign_of_life();
    co_return piece;
  }

  asio::awaitable<void> write_pieces(Transport& transport, const TakeoverTools& tools) {
    asio::steady_timer pause(tools.executor);
    Clock::time_point written = Clock::now(), allowed = written;
    while (true) {
      bool is_silent = Clock::now() - written >= kLongestSilence;
      std::optional<std::string> piece =
          co_await asio::co_spawn(tools.handlers, next(is_silent), asio::use_awaitable);
      if (!piece) co_return;
      if (Clock::now() - allowed >= kLongestSilence) {
        co_await tools.expect_still_allowed();
        allowed = Clock::now();
      }
      if (piece->empty()) {
        pause.expires_after(kPause);
        co_await pause.async_wait(asio::use_awaitable);
        continue;
      }
      std::string chunk = fmt::format("{:x}\r\n{}\r\n", piece->size(), *piece);
      co_await write(transport, tools, chunk);
      written = Clock::now();
    }
  }

  const LiveBody body_;
};

}  // namespace

std::shared_ptr<Takeover> make_live_answer(LiveBody body) {
  return std::make_shared<LiveAnswer>(std::move(body));
}

}  // namespace appliance::api
