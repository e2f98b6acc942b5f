// A connection as seen by blocking code: bytes in order, in both directions. Implementations: plain
// sockets (socket_stream.h) and TLS (tls_stream.h). tests/base/byte_stream_contract.cc runs on all.
//
// Thread-safety: one thread may read while another one writes; abort() may be called by any thread
// at any time. Timeouts are per operation and count the time without any progress, so that a slow
// peer is served and a dead one is detected. Errors: unavailable (the peer is silent, has died or
// was disconnected), cancelled (after abort()), unauthorized (the peer refused our certificate,
// which TLS 1.3 reports only at the first read or write), corrupt (the bytes are not TLS or were
// tampered with), io.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace base {

constexpr std::chrono::milliseconds kConnectTimeout = std::chrono::seconds(10);
constexpr std::chrono::milliseconds kHandshakeTimeout = std::chrono::seconds(10);
constexpr std::chrono::milliseconds kStreamTimeout = std::chrono::seconds(60);

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Waits for bytes and reads at least one of them, at most out.size(). Returns 0 when the peer has
  // ended the stream cleanly; a connection that just stops throws unavailable. (A plain socket
  // cannot tell a peer that went away quietly from one that ended the stream; TLS can.)
  virtual size_t read_some(MutableByteView out,
                           std::chrono::milliseconds timeout = kStreamTimeout) = 0;

  // False if nothing arrived within `timeout`. True says that read_some() is worth calling: it may
  // return bytes, the end or an error, or still have to wait for the rest of a record.
  virtual bool wait_readable(std::chrono::milliseconds timeout) = 0;

  // Returns when all bytes are with the kernel, which is not yet with the peer.
  virtual void write_all(ByteView bytes, std::chrono::milliseconds timeout = kStreamTimeout) = 0;

  // Tells the peer that nothing more will be written. Reading is still possible. Never throws: a
  // peer that is gone need not be told.
  virtual void finish() noexcept = 0;

  // Ends every waiting operation, now and later, with cancelled.
  virtual void abort() noexcept = 0;

  // "192.0.2.7:41234": for logs and messages.
  virtual const std::string& peer() const = 0;
};

// Fills `out`. False if the stream ended cleanly before its first byte; throws unavailable if it
// ended inside.
bool read_exactly(ByteStream& stream, MutableByteView out,
                  std::chrono::milliseconds timeout = kStreamTimeout);

// A stream that returns `prefix`, which was already read from it, before anything else.
std::unique_ptr<ByteStream> with_prefix(std::unique_ptr<ByteStream> stream, Bytes prefix);

}  // namespace base
