// A tenant's store as an appliance shows it over the network: what a restore reads when the store's
// folder is not at hand. It needs no agent and no enrolment: an operator's token, or a rescue code that
// was exchanged for a session (docs/rescue.md).
//
// Points are listed over the API. A point is read over the transfer protocol (docs/protocol.md, "A
// session that reads"), one connection for each point, shared by its disks; every chunk is compared
// with its id. When the connection breaks it is made again for ten minutes, and what was asked is asked
// again. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/socket_stream.h"
#include "images/store/store_reader.h"

namespace restore {

struct ApplianceAccess {
  base::Endpoint endpoint;
  std::string fingerprint;  // of its authority, as normalize_fingerprint() gives it
  std::string token;        // an operator's, or a rescue session's
  std::string tenant;       // empty: the token's, or the default one
  std::stop_token stop;     // ends waiting for an appliance that is gone
};

constexpr uint16_t kAppliancePort = 7443;

// A rescue code becomes the token of a session. Throws unauthorized (wrong, used, expired),
// unavailable.
std::string exchange_rescue_code(const base::Endpoint& endpoint, const std::string& fingerprint,
                                 const std::string& code);

class ApplianceStore : public images::StoreReader {
 public:
  // Asks the appliance once, so that a wrong address, fingerprint or token is said at the beginning.
  // Throws unauthorized, unavailable, invalid_argument.
  static std::unique_ptr<ApplianceStore> open(const ApplianceAccess& access);

  // Bytes that have arrived of all points.
  virtual uint64_t received_size() const = 0;
};

}  // namespace restore
