#include "images/store/place/open_place.h"

#include "base/error.h"
#include "images/store/place/local_place.h"

namespace images {

std::unique_ptr<StorePlace> open_place(const StoreReference& store) {
  return open_place(store.location);
}

std::unique_ptr<StorePlace> open_place(const std::string& location) {
  if (location.find("://") != std::string::npos) {
    throw base::Error(
        base::ErrorCode::unsupported,
        "a store is a directory of this machine; there is no way yet to reach " + location);
  }
  return local_place(base::real_file_system(), location);
}

}  // namespace images
