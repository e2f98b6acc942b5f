// What a rescue session may do, and the connections over which points are read.
#include "appliance/daemon/daemon.h"

namespace appliance::daemon {

void Daemon::admit_rescue_sessions() {
  authenticator_->set_guests([this](std::string_view secret) -> std::optional<api::Principal> {
    auto session = rescue_codes_.find_session(secret);
    if (!session) return std::nullopt;
    api::Principal principal;
    principal.role = api::Role::rescue;
    principal.privileges = {access::Privilege::point_fetch};
    principal.scope = session->tenant;
    principal.name = "rescue " + std::to_string(session->id);
    principal.rescue = session->id;
    principal.rescued_machines = session->machines;
    return principal;
  });
}

void Daemon::serve_fetch(base::ByteStream& stream, const api::Principal& reader) {
  fetches_->serve(
      stream,
      {reader.fetches->tenant, reader.fetches->point, reader.rescued_machines, reader.rescue},
      access::Requester(reader.name));
}

}  // namespace appliance::daemon
