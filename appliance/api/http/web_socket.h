// A WebSocket over a Transport, as Beast's stream. Private to what takes connections over. Used by
// the network thread alone; the transport must outlive it. One read and one write may be under way
// at once.
#pragma once

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket.hpp>
#include <memory>
#include <utility>

#include "appliance/api/http/transport.h"

namespace appliance::api {

constexpr size_t kWebSocketBlock = 64 * 1024;  // bytes, of one write at most

// Adapts a Transport to what Beast requires of a stream.
class TransportStream {
 public:
  using executor_type = boost::asio::any_io_executor;

  TransportStream(Transport& transport, executor_type executor)
      : transport_(transport), executor_(std::move(executor)) {}

  executor_type get_executor() const { return executor_; }
  void cut() noexcept { transport_.cut(); }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) ->
      typename boost::asio::async_result<std::decay_t<Token>,
                                         void(boost::system::error_code, size_t)>::return_type {
    boost::asio::mutable_buffer first;
    for (auto each = boost::asio::buffer_sequence_begin(buffers);
         each != boost::asio::buffer_sequence_end(buffers) && first.size() == 0; ++each)
      first = *each;
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this, first](auto handler) { spawn(read(first), std::move(handler)); }, token);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) ->
      typename boost::asio::async_result<std::decay_t<Token>,
                                         void(boost::system::error_code, size_t)>::return_type {
    // A frame's header and its content together, in one TLS record and one packet.
    auto gathered = std::make_unique<base::Bytes>(
        std::min(boost::asio::buffer_size(buffers), kWebSocketBlock + size_t{64}));
    boost::asio::buffer_copy(boost::asio::buffer(*gathered), buffers);
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this, &gathered](auto handler) { spawn(write(std::move(gathered)), std::move(handler)); },
        token);
  }

 private:
  boost::asio::awaitable<size_t> read(boost::asio::mutable_buffer into) {
    co_return co_await transport_.read_some(
        base::MutableByteView(static_cast<uint8_t*>(into.data()), into.size()));
  }
  boost::asio::awaitable<size_t> write(std::unique_ptr<base::Bytes> bytes) {
    co_await transport_.write_all(*bytes);
    co_return bytes->size();
  }

  template <typename Handler>
  void spawn(boost::asio::awaitable<size_t> work, Handler handler) {
    boost::asio::co_spawn(
        executor_, std::move(work),
        [handler = std::move(handler)](std::exception_ptr failure, size_t size) mutable {
          handler(code_of(failure, size), size);
        });
  }
  static boost::system::error_code code_of(const std::exception_ptr& failure, size_t size) {
    if (!failure)
      return size == 0 ? boost::system::error_code(boost::asio::error::eof)
                       : boost::system::error_code();
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      return error.code();
    } catch (const std::exception&) {
      return boost::asio::error::connection_aborted;
    }
  }

  Transport& transport_;
  executor_type executor_;
};

// How Beast ends a connection; the transport ends TLS itself, or not at all.
inline void teardown(boost::beast::role_type, TransportStream& stream,
                     boost::system::error_code& failure) {
  stream.cut();
  failure = {};
}
template <typename Handler>
void async_teardown(boost::beast::role_type, TransportStream& stream, Handler&& handler) {
  stream.cut();
  boost::asio::post(stream.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                     boost::system::error_code()));
}
inline void beast_close_socket(TransportStream& stream) { stream.cut(); }

using SocketOverTransport = boost::beast::websocket::stream<TransportStream>;

}  // namespace appliance::api
