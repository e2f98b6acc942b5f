// OpenSSL's access to a socket: like its own socket BIO, but without SIGPIPE when the peer is gone.
#pragma once

#include "base/openssl_handles.h"

namespace base {

// Reads and writes the non-blocking `fd`, which remains owned by the caller and must outlive the
// BIO.
UniqueBio make_socket_bio(int fd);

}  // namespace base
