// Restores to files on the appliance: a whole machine of a point, or some of its disks, into a
// folder below the appliance's directory of restores (Config::restores_directory()), as a job.
// Functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "appliance/access/requester.h"
#include "appliance/access/tenant_name.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "images/ids.h"
#include "restore/engine/disk_writer.h"
#include "restore/engine/target_check.h"

namespace appliance::restores {

struct RestoreOrder {
  access::TenantName tenant;
  images::PointId point;
  std::vector<std::string> disks;  // names; empty: all
  std::string folder;  // one name (check_folder()); files are in DIRECTORY/TENANT/FOLDER
  std::string format = "raw";
  bool in_place = false;  // raw files that are there get only what differs
  restore::Overwriting overwriting;
  restore::Verify verify = restore::Verify::written;
  bool survey = false;  // count what differs, write nothing
  uint64_t rate = 0;    // bytes per second; 0: no limit
  access::Requester requested_by;
};

// Throws invalid_argument unless it is a name that stays where it is: no '/', no leading dot.
void check_folder(const std::string& folder);

// A job of the kind "restore" about the machine. Its progress counts bytes compared and read back;
// its figures (restore_figures.h) are {target, point, folder, survey, size, files, disks: [{disk,
// size, written, …}], notes}. Cancelled
// or failed, new files are not there; what was written in place stays and is resumed by the same
// order. All of `stores`, `jobs` must outlive the job. Throws not_found (the point, a disk),
// invalid_argument (the format), unavailable (the store).
jobs::JobId submit_restore(stores::TenantStores& stores, jobs::JobRunner& jobs,
                           const std::string& directory, const RestoreOrder& order);

}  // namespace appliance::restores
