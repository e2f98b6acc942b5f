// Where a store is, and where the files are that open it if it is encrypted. A value. It holds paths
// and no secrets, so it may be kept in records and passed to other processes.
#pragma once

#include <string>

namespace images {

struct StoreReference {
  std::string location;         // the store's directory
  std::string key_file;         // path; empty: none
  std::string passphrase_file;  // path; empty: none. Not both
};

}  // namespace images
