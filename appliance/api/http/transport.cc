#include "appliance/api/http/transport.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "base/socket_stream.h"
#include "base/tls_stream.h"

namespace appliance::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

// beast::basic_stream is a socket with a deadline.
using TcpLayer = beast::tcp_stream;
using LocalLayer = beast::basic_stream<asio::local::stream_protocol>;

template <typename Layer>
void set_layer_deadline(Layer& layer, std::optional<std::chrono::seconds> from_now) {
  if (from_now) {
    layer.expires_after(*from_now);
  } else {
    layer.expires_never();
  }
}

template <typename Stream>
asio::awaitable<size_t> read_from(Stream& stream, base::MutableByteView out) {
  error_code failure;
  size_t count = co_await stream.async_read_some(
      asio::buffer(out.data(), out.size()), asio::redirect_error(asio::use_awaitable, failure));
  bool ended = failure == asio::error::eof || failure == asio::ssl::error::stream_truncated;
  if (failure && !ended) throw boost::system::system_error(failure);
  co_return count;
}

class TlsTransport : public Transport {
 public:
  TlsTransport(asio::ip::tcp::socket socket, asio::ssl::context& tls)
      : stream_(TcpLayer(std::move(socket)), tls) {}

  void set_deadline(std::optional<std::chrono::seconds> from_now) override {
    set_layer_deadline(stream_.next_layer(), from_now);
  }

  asio::awaitable<PeerFacts> open() override {
    auto& socket = stream_.next_layer().socket();
    socket.set_option(asio::ip::tcp::no_delay(true));
    PeerFacts peer;
    peer.address = base::peer_address(socket.native_handle());
    co_await stream_.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
    if (auto certificate = base::peer_certificate_of(stream_.native_handle())) {
      peer.certificate_serial = certificate->serial;
    }
    co_return peer;
  }

  asio::awaitable<size_t> read_some(base::MutableByteView out) override {
    return read_from(stream_, out);
  }

  asio::awaitable<void> write_all(base::ByteView bytes) override {
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()),
                               asio::use_awaitable);
  }

  void cut() noexcept override { beast::close_socket(stream_.next_layer()); }

  asio::awaitable<void> close() override { co_await stream_.async_shutdown(asio::use_awaitable); }

  std::unique_ptr<base::ByteStream> detach() override {
    set_deadline(std::nullopt);
    base::UniqueFd socket(stream_.next_layer().release_socket().release());
    return base::adopt_tls(stream_.native_handle(), std::move(socket));
  }

 private:
  asio::ssl::stream<TcpLayer> stream_;
};

class LocalTransport : public Transport {
 public:
  explicit LocalTransport(asio::local::stream_protocol::socket socket)
      : stream_(std::move(socket)) {}

  void set_deadline(std::optional<std::chrono::seconds> from_now) override {
    set_layer_deadline(stream_, from_now);
  }

  asio::awaitable<PeerFacts> open() override {
    PeerFacts peer;
    peer.local_root = true;
    peer.address = "local socket";
    co_return peer;
  }

  asio::awaitable<size_t> read_some(base::MutableByteView out) override {
    return read_from(stream_, out);
  }

  asio::awaitable<void> write_all(base::ByteView bytes) override {
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()),
                               asio::use_awaitable);
  }

  asio::awaitable<void> close() override { co_return; }
  void cut() noexcept override { beast::close_socket(stream_); }
  std::unique_ptr<base::ByteStream> detach() override {
    set_deadline(std::nullopt);
    base::UniqueFd socket(stream_.release_socket().release());
    return std::make_unique<base::SocketStream>(std::move(socket));
  }

 private:
  LocalLayer stream_;
};

}  // namespace

std::unique_ptr<Transport> make_tls_transport(asio::ip::tcp::socket socket,
                                              asio::ssl::context& tls) {
  return std::make_unique<TlsTransport>(std::move(socket), tls);
}

std::unique_ptr<Transport> make_local_transport(asio::local::stream_protocol::socket socket) {
  return std::make_unique<LocalTransport>(std::move(socket));
}

}  // namespace appliance::api
