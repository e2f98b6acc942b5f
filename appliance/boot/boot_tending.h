// What instant VMs need without anybody's order: taking up or cleaning away what the program's
// predecessor left, and from then on looking after the VMs that should run. Internal to
// appliance/boot: what other folders see is BootService (boot_service.h).
//
// Thread-safe; each VM is dealt with under its lock.
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

  // ---- as BootService's functions of the same names

  AdoptReport adopt();
  std::vector<std::string> tend();
  std::string isolation_problem();

 private:
  // By the table in boot_tending.cc. For who holds the VM's lock.
  void adopt_one(const BootId& id, DomainState domain, AdoptReport& report);
  // Leaves a VM alone that somebody works on. `exported`: its export was seen.
  void tend_one(const BootId& id, DomainState domain, bool exported,
                std::vector<std::string>& done);
  // A VM that should run and whose domain does not: as restart.h decides.
  void tend_ended(BootRecord& record, const BootPlaces& places, std::vector<std::string>& done);
  // One attempt; that it failed is written into the record, not thrown.
  void restart(BootRecord& record, const BootPlaces& places, std::vector<std::string>& done);
  void finish_what_failed(BootRecord& record, std::vector<std::string>& done);
  void clean_run_folders(const std::map<BootId, DomainState>& domains,
                         std::vector<std::string>& done);
  // Every few seconds; says what it did, or why it could not.
  void keep_isolation(std::vector<std::string>& done);
  // Resumes a VM that has stopped for its disk, if there is room and not again at once.
  void let_go_on(const BootRecord& record, std::vector<std::string>& done);

  const BootSettings& settings_;
  Hypervisor& hypervisor_;
  const BootLookup& lookup_;
  BootOperations& operations_;
  base::Guarded<std::map<BootId, std::chrono::steady_clock::time_point>> last_resume_;
  base::Guarded<std::chrono::steady_clock::time_point> last_isolation_look_;
};

}  // namespace appliance::boot
