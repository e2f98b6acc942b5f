// What the ingest asks the component that orders restores to hosts. Implementations are thread-safe.
#pragma once

#include <memory>

#include "appliance/catalog/records.h"
#include "base/byte_stream.h"
#include "images/wire/point_server.h"
#include "images/wire/read_format.h"

namespace appliance::ingest {

class RestoreTickets {
 public:
  virtual ~RestoreTickets() = default;

  // What this host may read with this ticket, over this connection, which is aborted when the order
  // ends. The connection must outlive the result. Throws unauthorized.
  virtual std::unique_ptr<images::OpenedPoint> open(const catalog::Host& host,
                                                    const images::wire::Ticket& ticket,
                                                    base::ByteStream& stream) = 0;
};

}  // namespace appliance::ingest
