// SHA-256 of two messages of the same size at the same time. The processor's SHA instructions wait
// for each other's results; with two interleaved messages they do nearly twice as much
// (docs/performance.md). Without such instructions: one after the other. Thread-safe. Source: FIPS
// 180-4, RFC 2104.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/crypto.h"

namespace base {

// Both have the same size, less than 2^60 bytes.
std::array<Sha256, 2> sha256_pair(ByteView first, ByteView second);
std::array<Sha256, 2> hmac_sha256_pair(const Key256& key, ByteView first, ByteView second);

}  // namespace base
