// What every Hypervisor promises about its domains, run on the one in memory and on libvirt with
// QEMU. The latter needs a libvirt: it is hidden from a plain run, and tests/system/33-hypervisor.sh
// runs it, with its address in MULETTO_TEST_LIBVIRT.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "appliance/boot/libvirt/libvirt_hypervisor.h"
#include "base/error.h"
#include "base/instant_vm_mark.h"
#include "tests/appliance/boot/fake_hypervisor.h"

namespace appliance::boot {
namespace {

using base::ErrorCode;

const BootId kBoot = BootId::from_hex("0123456789abcdef");
const std::string kName = "muletto-contract-01234567";
const std::string kUuid = "7c4d7b50-6d1f-4b8e-9a35-0123456789ab";
const std::string kState = "/nowhere/state";

std::string domain_of(uint32_t memory_mib = 32) {
  return "<domain type='qemu'><name>" + kName + "</name><uuid>" + kUuid +
         "</uuid><memory unit='MiB'>" + std::to_string(memory_mib) +
         "</memory><metadata><muletto:vm xmlns:muletto='" + base::kInstantVmMarkUri + "' boot='" +
         kBoot.hex() + "' state='" + kState +
         "'/></metadata><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  return ErrorCode::already_exists;  // which no hypervisor throws here
}

// Our domain as list() has it; nothing if it is not there.
std::optional<DomainSummary> listed(Hypervisor& hypervisor) {
  for (const DomainSummary& each : hypervisor.list()) {
    if (each.name == kName) return each;
  }
  return std::nullopt;
}

void expect_nothing_there(Hypervisor& hypervisor) {
  CHECK(hypervisor.state(kName) == DomainState::off);
  CHECK(hypervisor.last_end(kName) == DomainEnd::unknown);
  CHECK_FALSE(listed(hypervisor).has_value());
  CHECK_FALSE(hypervisor.has_checkpoint(kName, "any"));
  CHECK_NOTHROW(hypervisor.destroy(kName));
  CHECK_NOTHROW(hypervisor.undefine(kName));
  for (const auto& action : std::vector<std::function<void()>>{
           [&] { hypervisor.domain_xml(kName); },
           [&] { hypervisor.pause(kName); },
           [&] { hypervisor.resume(kName); },
           [&] { hypervisor.reset(kName); },
           [&] { hypervisor.shutdown(kName); },
           [&] { hypervisor.screenshot(kName); },
           [&] { hypervisor.release_exports(kName); },
           [&] { hypervisor.start_pull(kName, "/nowhere", 0); },
           [&] { hypervisor.pull_progress(kName, "/nowhere"); },
           [&] { hypervisor.cancel_pull(kName, "/nowhere"); },
           [&] { hypervisor.address_claims(kName, ClaimSource::leases); },
       }) {
    CHECK(code_of(action) == ErrorCode::not_found);
  }
}

void expect_running(Hypervisor& hypervisor) {
  CHECK(hypervisor.state(kName) == DomainState::running);
  auto summary = listed(hypervisor);
  REQUIRE(summary.has_value());
  CHECK(summary->boot == kBoot);
  CHECK(summary->state_directory == kState);
  CHECK(summary->state == DomainState::running);
  CHECK(hypervisor.domain_xml(kName).find(kName) != std::string::npos);
  hypervisor.pause(kName);
  CHECK(hypervisor.state(kName) == DomainState::paused);
  CHECK(listed(hypervisor)->state == DomainState::paused);
  hypervisor.resume(kName);
  CHECK(hypervisor.state(kName) == DomainState::running);
  CHECK_NOTHROW(hypervisor.reset(kName));
  CHECK(hypervisor.state(kName) == DomainState::running);
}

// The whole contract, in one order: each step leaves what the next one needs.
void expect_contract(Hypervisor& hypervisor) {
  expect_nothing_there(hypervisor);

  // A domain that nobody defined is gone when it ends.
  hypervisor.start(domain_of());
  expect_running(hypervisor);
  hypervisor.destroy(kName);
  expect_nothing_there(hypervisor);

  // One that is defined stays, and runs when it is started.
  hypervisor.define(domain_of());
  hypervisor.define(domain_of(48));
  CHECK(hypervisor.state(kName) == DomainState::off);
  auto summary = listed(hypervisor);
  REQUIRE(summary.has_value());
  CHECK(summary->boot == kBoot);
  CHECK(summary->state == DomainState::off);
  hypervisor.start(domain_of(48));
  expect_running(hypervisor);
  hypervisor.destroy(kName);
  CHECK(hypervisor.state(kName) == DomainState::off);
  CHECK(listed(hypervisor).has_value());
  CHECK_NOTHROW(hypervisor.destroy(kName));
  hypervisor.undefine(kName);
  expect_nothing_there(hypervisor);

  HypervisorFacts facts = hypervisor.facts();
  CHECK(facts.cpu_count > 0);
  CHECK(facts.memory_size > 0);
  CHECK(facts.machine_types.contains("q35"));
  CHECK_NOTHROW(hypervisor.remove_network("muletto-contract-none"));
  CHECK(hypervisor.bridge_of("muletto-contract-none").empty());
}

}  // namespace

TEST_CASE("the hypervisor in memory keeps the contract") {
  FakeHypervisor hypervisor;
  expect_contract(hypervisor);
}

TEST_CASE("libvirt keeps the contract", "[.][libvirt]") {
  const char* uri = std::getenv("MULETTO_TEST_LIBVIRT");
  REQUIRE(uri != nullptr);
  auto hypervisor = libvirt::connect(uri);
  expect_contract(*hypervisor);
}

}  // namespace appliance::boot
