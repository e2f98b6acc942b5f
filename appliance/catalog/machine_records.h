// Machines, and which host may write them. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "appliance/catalog/machine_history.h"
#include "appliance/catalog/records.h"

namespace appliance::catalog {

// How many records of each kind a machine has.
struct MachineTraces {
  bool is_known = false;      // it has had a point, or a host claimed it
  bool is_protected = false;  // reported by an agent, or named by an operator
  uint64_t point_count = 0;
  uint64_t test_boot_count = 0;
  uint64_t alert_count = 0;
  uint64_t job_count = 0;
};

// Throws unauthorized unless the host may add points to the machine: it belongs to the host, or it
// belongs to no host and has no point that someone else could have written.
void require_writable(const Machine& machine, const HostId& host);

class MachineRecords {
 public:
  // How many new machines a host may introduce in 24 hours, and in all: each name is a row that
  // stays.
  static constexpr uint64_t kNewMachinesADay = 200;
  static constexpr uint64_t kMachinesOfHost = 2000;

  virtual ~MachineRecords() = default;

  // By tenant and name.
  virtual std::vector<Machine> machines(const TenantScope& scope) = 0;
  virtual std::optional<Machine> find_machine(const TenantName& tenant, std::string_view name) = 0;
  Machine machine(const TenantName& tenant, std::string_view name);  // throws not_found
  // The machine for a host that is about to write it: an existing one of the host, or a new one
  // that belongs to the host from now on. Throws as require_writable(), invalid_argument for an
  // invalid name, no_space beyond the limits above.
  virtual Machine claim_machine(const TenantName& tenant, const images::MachineId& id,
                                std::string_view name, const HostId& host) = 0;
  // From now on only `host` may write the machine; nullopt: no host. Throws not_found.
  virtual void assign_machine(const TenantName& tenant, std::string_view name,
                              const std::optional<HostId>& host) = 0;

  // Of all machines of the tenant that had a point or a test boot; others are not in it. A few
  // queries, however many machines there are.
  virtual MachineHistories machine_histories(const TenantName& tenant, uint64_t now_ms) = 0;

  virtual MachineTraces machine_traces(const TenantName& tenant, std::string_view machine_name) = 0;
  // Removes everything about a machine without points, in every aggregate; its alerts close. Throws
  // busy if it has points.
  virtual void forget_machine(const TenantName& tenant, std::string_view machine_name,
                              uint64_t now_ms) = 0;
};

}  // namespace appliance::catalog
