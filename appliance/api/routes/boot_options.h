// The options of a VM in a request, for one start and for a start of several.
#pragma once

#include <optional>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/routes.h"
#include "appliance/boot/model/instant_vm.h"
#include "appliance/recovery/answer_wait.h"

namespace appliance::api {

// What the caller says of the machine's original.
enum class Original {
  beside,    // the VM is a trial beside it, and leaves the timeline to it unless told otherwise
  replaced,  // the VM takes its place
};

// Reads the fields of BootOptions and "original", all optional; does not call require_no_more().
// Throws invalid_argument.
boot::BootOptions parse_boot_options(BodyFields& body, std::optional<Original>& original);

// Throws busy, with what to do, if nothing was said of the original and its agent has just reported
// it running.
void require_settled(Services& services, const access::TenantName& tenant,
                     const std::string& machine, std::optional<Original> original);

// {"http"?: "/path" or ":8080/path", "tcp"?: 22, "timeout"?: "5m"}. Throws invalid_argument.
recovery::WaitPlan parse_wait_plan(BodyFields& body);

}  // namespace appliance::api
