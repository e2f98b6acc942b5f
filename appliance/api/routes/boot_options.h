// The options of a VM in a request, for one start and for a start of several.
#pragma once

#include "appliance/api/http/body_fields.h"
#include "appliance/boot/model/instant_vm.h"
#include "appliance/recovery/answer_wait.h"

namespace appliance::api {

// Reads the fields of BootOptions, all optional; does not call require_no_more(). Throws
// invalid_argument.
boot::BootOptions parse_boot_options(BodyFields& body);

// {"http"?: "/path" or ":8080/path", "tcp"?: 22, "timeout"?: "5m"}. Throws invalid_argument.
recovery::WaitPlan parse_wait_plan(BodyFields& body);

}  // namespace appliance::api
