// What the guest's own freeze hooks report (docs/hooks/muletto-freeze-hook): a small file in the
// guest, rewritten at every freeze. Read through the guest agent, outside the freeze. Functions are
// thread-safe.
//   muletto-hooks 1 ID      ID is new at every freeze
//   ok NAME | failed NAME   one line for each hook
//   end
#pragma once

#include <string>

#include "agent/libvirt/domain.h"

namespace agent::libvirt {

constexpr char kHookReportPath[] = "/run/muletto-hooks";

// Empty if there is none, or the guest agent may not read files.
std::string read_hook_report(const Domain& domain) noexcept;

// Empty if `after` is the report of a freeze since `before` was read and every hook succeeded;
// otherwise what is wrong, for the point's note. Pure.
std::string hooks_complaint(const std::string& before, const std::string& after);

}  // namespace agent::libvirt
