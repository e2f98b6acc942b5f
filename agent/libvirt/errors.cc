#include "agent/libvirt/errors.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <mutex>

namespace agent::libvirt {
namespace {

base::ErrorCode code_of(int libvirt_code) {
  switch (libvirt_code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_DOMAIN_CHECKPOINT:
    case VIR_ERR_NO_STORAGE_POOL:
    case VIR_ERR_NO_STORAGE_VOL:
    case VIR_ERR_NO_DOMAIN_BACKUP: return base::ErrorCode::not_found;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
    case VIR_ERR_OPERATION_TIMEOUT:
    case VIR_ERR_SYSTEM_ERROR: return base::ErrorCode::unavailable;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED: return base::ErrorCode::unauthorized;
    case VIR_ERR_OPERATION_INVALID:
    case VIR_ERR_RESOURCE_BUSY: return base::ErrorCode::busy;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED: return base::ErrorCode::unsupported;
    default: return base::ErrorCode::io;
  }
}

void ignore_error(void*, virErrorPtr) {}

}  // namespace

base::Error last_error(const std::string& action) {
  virErrorPtr error = ::virGetLastError();
  if (error == nullptr)
    return base::Error(base::ErrorCode::io, action + ": libvirt gave no reason");
  return base::Error(code_of(error->code),
                     action + ": " + (error->message ? error->message : "no reason given"));
}

void silence_libvirt() {
  static std::once_flag once;
  std::call_once(once, [] { ::virSetErrorFunc(nullptr, ignore_error); });
}

}  // namespace agent::libvirt
