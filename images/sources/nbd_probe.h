// One question to an NBD server: does it serve this export? By the handshake that a client would
// do, with libnbd.
#pragma once

#include <string>

namespace images {

struct NbdProbe {
  enum class Outcome {
    served,
    no_answer,  // nothing accepts connections on the socket, or not yet
    refused,    // the server answered and does not serve the export
  };
  Outcome outcome = Outcome::no_answer;
  std::string problem;  // libnbd's error message; empty if served
};

// `export_name` may be empty: the server's default export. Thread-safe.
NbdProbe probe_nbd_export(const std::string& socket_path, const std::string& export_name);

}  // namespace images
