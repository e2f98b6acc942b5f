// Forgets a machine: its points, and everything the appliance knows about it. Thread-safe.
#pragma once

#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/points/point_deletion.h"

namespace appliance::points {

struct ForgetOrder {
  access::TenantName tenant;
  std::string machine;
  bool with_points;  // otherwise a machine that has points is refused
  access::Requester requested_by;
};

// As a job of the kind "forget"; its figures are {points}. The machine belongs to no host from the
// start of the job, so that no agent adds points meanwhile. Throws not_found for an unknown
// machine; busy if it has points and `with_points` is false, or one of them is held or in use: then
// nothing is changed.
jobs::JobId submit_forgetting(catalog::Catalog& catalog, PointDeletion& deletion,
                              jobs::JobRunner& jobs, const ForgetOrder& order);

}  // namespace appliance::points
