#include "images/store/store_identity.h"

#include "images/store/layout.h"
#include "images/store/store_context.h"

namespace images {
namespace {

bool has_points(base::FileSystem& files, const std::string& directory) {
  std::string points = layout::points_directory(directory);
  if (!files.exists(points)) return false;
  for (const std::string& name : files.list(points)) {
    if (!layout::machine_of_name(name)) continue;
    for (const std::string& point : files.list(base::join_path(points, name))) {
      if (layout::point_of_name(point)) return true;
    }
  }
  return false;
}

}  // namespace

StoreIdentity identify_store(base::FileSystem& files, const std::string& directory) {
  format::StoreParameters parameters = read_parameters(files, directory);
  return {parameters.id, parameters.encrypted, has_points(files, directory)};
}

}  // namespace images
