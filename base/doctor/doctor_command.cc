#include "base/doctor/doctor_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "base/json_access.h"

namespace base::doctor {
namespace {

// The longest are the disk's trial, three parts of 4 s each, and libvirt's.
constexpr std::chrono::seconds kPatience{60};

}  // namespace

int run_doctor(const Arguments& arguments, const std::vector<Check>& checks) {
  std::vector<Finding> found = examine(checks, kPatience, [&](const Finding& finding) {
    if (arguments.json()) return;
    fmt::print("{}\n", finding_text(finding));
    std::fflush(stdout);
  });
  if (arguments.json()) fmt::print("{}\n", dump_text(findings_json(found), 2));
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return 1;
  std::_Exit(exit_code_of(found));  // without waiting for a check that hangs
}

}  // namespace base::doctor
