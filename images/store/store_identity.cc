#include "images/store/store_identity.h"

#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/store_context.h"

namespace images {
namespace {

bool has_points(BlobStore& blobs) {
  std::string points = layout::points_directory("");
  if (!blobs.exists(points)) return false;
  for (const std::string& name : blobs.list(points)) {
    auto machine = layout::machine_of_name(name);
    if (!machine) continue;
    for (const std::string& point : blobs.list(layout::machine_directory("", *machine))) {
      if (layout::point_of_name(point)) return true;
    }
  }
  return false;
}

}  // namespace

StoreIdentity identify_store(StorePlace& place) {
  format::StoreParameters parameters = read_parameters(place);
  return {parameters.id, parameters.encrypted, has_points(place.blobs())};
}

StoreIdentity identify_store(base::FileSystem& files, const std::string& directory) {
  return identify_store(*local_place(files, directory));
}

}  // namespace images
