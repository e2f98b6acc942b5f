// What opens an encrypted volume: a passphrase, the content of a key file, or BitLocker's recovery
// key. Values; thread-safe.
#pragma once

#include <string>

#include "base/bytes.h"

namespace images::volumes {

struct VolumeKey {
  std::string name;    // for people, not a secret: "root disk"
  base::Bytes secret;  // as it is typed, without a line's end; or a key file's bytes
};

constexpr size_t kMaxKeys = 8;           // of a machine
constexpr size_t kMaxSecret = 64 << 10;  // bytes

}  // namespace images::volumes
