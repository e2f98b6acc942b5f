// What a request says a VM shall be: for one start, and for a start of several.
#pragma once

#include "appliance/api/body_fields.h"
#include "appliance/boot/instant_vm.h"

namespace appliance::api {

// The fields of BootOptions, all optional; does not call expect_no_more(). Throws invalid_argument.
boot::BootOptions parse_boot_options(BodyFields& body);

}  // namespace appliance::api
