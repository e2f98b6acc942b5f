// Maps libvirt's errors to base::Error. Functions are thread-safe: libvirt keeps errors per thread.
#pragma once

#include <string>

#include "base/error.h"

namespace agent::libvirt {

// For the last libvirt call of this thread that failed.
base::Error last_error(const std::string& action);

// libvirt prints errors to standard error unless told otherwise; this turns it off.
void silence_libvirt();

}  // namespace agent::libvirt
