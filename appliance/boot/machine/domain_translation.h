// Writes a MachinePlan as a libvirt domain: the only place that knows what our domains look like.
// Pure functions. Format: https://libvirt.org/formatdomain.html, as of libvirt 9.0.
#pragma once

#include <optional>
#include <string>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

struct DomainPaths {
  BootPaths boot;
  // Written into the metadata: distinguishes two appliances on one host.
  std::string state_directory;
};

// The domain of `record`, whose VM was planned as `plan`. For UEFI, `firmware` is the one to use
// and paths.boot.nvram_path the copy of its variables.
std::string domain_xml(const MachinePlan& plan, const BootRecord& record, const DomainPaths& paths,
                       const UefiFirmware* firmware);

// "muletto-MACHINE-1f2e3d4c": at most 60 characters that libvirt and QEMU allow in a name.
std::string domain_name(const std::string& machine_name, const BootId& id);

// The content of a domain's metadata, if the domain is ours.
struct DomainMark {
  BootId boot;
  std::string state_directory;
};
std::optional<DomainMark> read_mark(const std::string& domain_xml);

// Where a running domain's console listens; no ports if it has none.
VmConsole read_console(const std::string& domain_xml);

}  // namespace appliance::boot
