// What instant VMs need without a request: adopting or cleaning up what the previous daemon left,
// and from then on managing the VMs that should run. Internal to appliance/boot: other folders use
// BootService (boot_service.h).
//
// Thread-safe; each VM is handled under its lock.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "appliance/boot/boot_lookup.h"
#include "appliance/boot/boot_operations.h"
#include "appliance/boot/boot_service.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"
#include "base/guarded.h"

namespace appliance::boot {

class BootTending {
 public:
  BootTending(const BootSettings& settings, Hypervisor& hypervisor, const BootLookup& lookup,
              BootOperations& operations)  // all outlive it
      : settings_(settings), hypervisor_(hypervisor), lookup_(lookup), operations_(operations) {}

  // ---- like BootService's functions of the same names

  AdoptReport adopt();
  std::vector<std::string> tend();
  std::string isolation_problem();

 private:
  // According to the table in boot_tending.cc. Called with the VM's lock held.
  void adopt_one(const BootId& id, DomainState domain, AdoptReport& report);
  // Skips a VM if another operation on it is running. `exported`: its export was seen.
  void tend_one(const BootId& id, DomainState domain, bool exported,
                std::vector<std::string>& done);
  // A VM that should be running and whose domain is not: as restart.h decides.
  void tend_ended(BootRecord& record, const BootPaths& paths, std::vector<std::string>& done);
  // One attempt; a failure is written into the record, not thrown.
  void restart(BootRecord& record, const BootPaths& paths, std::vector<std::string>& done);
  void finish_what_failed(BootRecord& record, std::vector<std::string>& done);
  // Ends the VM if it runs here though its holder does not allow it.
  void end_stray(const BootRecord& record, DomainState seen, std::vector<std::string>& done);
  void clean_unfinished(std::vector<std::string>& done);
  void clean_run_folders(const std::map<BootId, DomainState>& domains,
                         std::vector<std::string>& done);
  // Every few seconds; reports what it did, or why it could not.
  void keep_isolation(std::vector<std::string>& done);
  // Resumes a VM that was paused because of its disk, if there is room and it was not resumed just
  // before.
  void let_go_on(const BootRecord& record, std::vector<std::string>& done);

  const BootSettings& settings_;
  Hypervisor& hypervisor_;
  const BootLookup& lookup_;
  BootOperations& operations_;
  base::Guarded<std::map<BootId, std::chrono::steady_clock::time_point>> last_resume_;
  base::Guarded<std::chrono::steady_clock::time_point> last_isolation_look_;
};

}  // namespace appliance::boot
