// Forgets a machine: its points, and everything the appliance knows of it. Thread-safe.
#pragma once

#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/points/point_deletion.h"

namespace appliance::points {

struct ForgetOrder {
  std::string tenant;
  std::string machine;
  bool with_points = false;  // else a machine that has points is refused
};

// As a job of the kind "forget"; its figures are {points}. The machine belongs to no host from the
// beginning of the job on, so that no agent adds points meanwhile. Throws not_found for a machine
// nobody knows; busy if it has points and they are not to go, or one of them is held or in use:
// then nothing is changed.
jobs::JobId submit_forgetting(catalog::Catalog& catalog, PointDeletion& deletion,
                              jobs::JobRunner& jobs, const ForgetOrder& order);

}  // namespace appliance::points
