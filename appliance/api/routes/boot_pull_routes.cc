// Moving an instant VM onto local storage.
#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/routes.h"

namespace appliance::api {
namespace {

constexpr uint64_t kMaxBandwidth = 1ull << 40;  // bytes per second

Response pull_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  uint64_t bandwidth = body.natural("bandwidth", 1, kMaxBandwidth).value_or(0);
  body.require_no_more();
  boot::InstantVm vm = find_boot(services, request);
  return accepted(services,
                  recovery::submit_pull(services.recovery(), vm, bandwidth, request.requester()));
}

}  // namespace

void add_boot_pull_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"POST", "/api/v1/boots/{boot}/pull", Privilege::vm_pull, Resource::vm, pull_boot},
             });
}

}  // namespace appliance::api
