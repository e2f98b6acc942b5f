#include "images/sources/nbd_probe.h"

#include <libnbd.h>

#include <memory>

namespace images {
namespace {

struct Closer {
  void operator()(nbd_handle* handle) const { ::nbd_close(handle); }
};

NbdProbe failed(NbdProbe::Outcome outcome) {
  const char* reason = ::nbd_get_error();
  return {outcome, reason == nullptr ? "no reason given" : reason};
}

}  // namespace

NbdProbe probe_nbd_export(const std::string& socket_path, const std::string& export_name) {
  std::unique_ptr<nbd_handle, Closer> handle(::nbd_create());
  if (!handle || ::nbd_set_opt_mode(handle.get(), true) != 0 ||
      ::nbd_set_export_name(handle.get(), export_name.c_str()) != 0 ||
      ::nbd_connect_unix(handle.get(), socket_path.c_str()) != 0)
    return failed(NbdProbe::Outcome::no_answer);
  if (::nbd_opt_info(handle.get()) != 0) return failed(NbdProbe::Outcome::refused);
  ::nbd_opt_abort(handle.get());
  return {NbdProbe::Outcome::served, ""};
}

}  // namespace images
