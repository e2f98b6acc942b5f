#include "appliance/boot/libvirt/kept_connection.h"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include "base/error.h"

namespace appliance::boot::libvirt {

std::string last_error_message() {
  virErrorPtr error = virGetLastError();
  return error == nullptr || error->message == nullptr ? "libvirt gave no reason" : error->message;
}

Connection KeptConnection::now() {
  auto state = state_.lock();
  Connection& connection = state->connection;
  if (connection != nullptr && virConnectIsAlive(connection.get()) == 1) return connection;
  // Otherwise libvirt prints every error itself.
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  virConnectPtr fresh = virConnectOpen(uri_.c_str());
  if (fresh == nullptr) {
    throw base::Error(base::ErrorCode::unavailable,
                      fmt::format("libvirt at {} does not answer (is libvirtd running?): {}", uri_,
                                  last_error_message()));
  }
  connection = Connection(fresh, [](virConnectPtr old) { virConnectClose(old); });
  ++state->opened_count;
  if (on_open_) on_open_(fresh);
  return connection;
}

}  // namespace appliance::boot::libvirt
