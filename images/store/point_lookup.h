// Lists and finds points through the index: shared by StoreReader and StoreWriter. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "images/point.h"
#include "images/store/store_context.h"

namespace images {

class PointLookup {
 public:
  explicit PointLookup(StoreContext& store) : store_(store) {}

  std::vector<PointSummary> points();
  std::vector<PointSummary> points_of(std::string_view machine_name);
  PointId find_point(std::string_view selector);
  Point read_point(const PointId& id);
  format::PublicManifest find_manifest(const PointId& id);  // throws not_found

 private:
  PointSummary summary_of(const format::PublicManifest& point);
  std::string machine_name_of(const format::PublicManifest& point);
  PointId find_by_prefix(std::string_view digits);
  PointId find_by_time(std::string_view machine_name, std::string_view time);

  StoreContext& store_;
  // A machine's name is only in its manifests; since the id is derived from it, one manifest is
  // enough for all.
  base::Guarded<std::unordered_map<MachineId, std::string>> names_;
};

}  // namespace images
