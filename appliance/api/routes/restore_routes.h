// Restores, to files on the appliance and to hosts, and disks of points as streams.
#pragma once

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/routes.h"

namespace appliance::api {

void add_restore_routes(Router& router, Services& services);
void add_disk_routes(Router& router, Services& services);

// Orders a restore to the host that the body names, through its agent. `body` has had nothing but
// its target read. Throws unauthorized without the privilege host-restore, not_found,
// invalid_argument.
Response restore_to_host(Services& services, const Request& request, BodyFields& body);

}  // namespace appliance::api
