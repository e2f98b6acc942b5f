// What a sender is told of a machine's newest point, so that it can continue from it.
#pragma once

#include <optional>
#include <string>

#include "images/store/store_reader.h"
#include "images/wire/transfer_format.h"

namespace appliance::ingest {

// None if the machine has no point. Throws what the reader throws. Thread-safe, as the reader.
std::optional<images::wire::LastPoint> newest_point(images::StoreReader& reader,
                                                    const std::string& machine_name);

}  // namespace appliance::ingest
