// Restores to the appliance itself, and disks of points as streams.
#pragma once

#include "appliance/api/routes/routes.h"

namespace appliance::api {

void add_restore_routes(Router& router, Services& services);
void add_disk_routes(Router& router, Services& services);

}  // namespace appliance::api
