// A machine's settings as VMware keeps them: lines of 'key = "value"'. Pure functions; the text is
// a stranger's.
#pragma once

#include <string>
#include <string_view>

#include "images/imports/foreign_machine.h"

namespace images {

constexpr uint64_t kMaxVmx = 1 << 20;  // bytes

// Each disk's `file` is as the settings name it, relative to their folder or absolute. Throws
// corrupt for what is no such file, unsupported for an encrypted one. `path` is for messages.
ForeignMachine read_vmx(std::string_view text, const std::string& path);

}  // namespace images
