// A Hypervisor in memory: domains are names with a state. Fails on order. Not thread-safe.
#pragma once

#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "appliance/boot/block_pull.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/domain_translation.h"
#include "base/error.h"

namespace appliance::boot {

class FakeHypervisor : public Hypervisor, public Bridges {
 public:
  struct Running {
    std::string xml;
    DomainState state = DomainState::running;
    int pull_looks = 0;  // pull_progress() sees it that often
  };
  int pulls_begun = 0, pulls_cancelled = 0, released = 0;
  int failing_pulls = 0;  // so many begin and are gone at once
  std::map<std::string, Running> domains;
  std::set<std::string> networks;
  std::vector<ForwardingEntry> forwarding_entries;
  bool has_bridges = true;             // false: the VMs run on another machine
  bool answers_solicitations = false;  // an original is there, and silent until it is called
  std::vector<CardInUse> cards_in_use;
  std::map<std::string, std::string> defined;  // XML by name
  std::map<std::string, CheckpointPlan> checkpoints;
  DomainEnd end = DomainEnd::unknown;  // of every domain that does not run
  bool fail_to_start = false;
  QemuUser qemu{::geteuid(), ::getegid()};
  std::vector<AddressClaim> claims;
  std::string bridge_name;  // of every network
  int isolation_looks = 0;
  bool isolation_was_lost = false;  // somebody took the rules away
  uint64_t memory_available = 64ull << 30;

  HypervisorFacts facts() override {
    HypervisorFacts facts;
    facts.cpu_count = 4;
    facts.memory_size = facts.memory_available = memory_available;
    facts.machine_types = {"pc", "q35"};
    facts.cards_in_use = cards_in_use;
    return facts;
  }
  QemuUser qemu_user() override { return qemu; }
  Bridges* bridges() override { return has_bridges ? this : nullptr; }
  bool has_bridge(const std::string& name) override { return name == "br0"; }
  std::vector<ForwardingEntry> forwarding_table(const std::string&) override {
    return forwarding_entries;
  }
  void solicit_reply(const std::string& bridge, const std::string& mac) override {
    if (answers_solicitations) forwarding_entries.push_back({bridge, mac, 0});
  }
  bool has_network(const std::string&) override { return true; }
  void ensure_network(const NetworkPlan& plan) override { networks.insert(plan.name); }
  bool keep_isolation() override {
    ++isolation_looks;
    return std::exchange(isolation_was_lost, false);
  }
  void remove_network(const std::string& name) override { networks.erase(name); }
  void start(const std::string& xml) override {
    if (fail_to_start) throw base::Error(base::ErrorCode::io, "QEMU did not start: no");
    size_t begin = xml.find("<name>") + 6;
    domains[xml.substr(begin, xml.find("</name>") - begin)] = {xml};
  }
  void start_paused(const std::string& xml) override {
    start(xml);
    size_t begin = xml.find("<name>") + 6;
    domains.at(xml.substr(begin, xml.find("</name>") - begin)).state = DomainState::paused;
  }
  std::string refusal;  // of every domain
  std::string refusal_of(const std::string&) override { return refusal; }
  void define(const std::string& xml) override {
    size_t begin = xml.find("<name>") + 6;
    defined[xml.substr(begin, xml.find("</name>") - begin)] = xml;
  }
  void undefine(const std::string& name) override {
    defined.erase(name);
    checkpoints.erase(name);
  }
  bool has_checkpoint(const std::string& name, const std::string& checkpoint) override {
    return checkpoints.contains(name) && checkpoints[name].name == checkpoint;
  }
  void set_checkpoint(const std::string& name, const CheckpointPlan& plan) override {
    checkpoints.erase(name);
    if (!plan.disks.empty()) checkpoints[name] = plan;
  }
  DomainEnd last_end(const std::string&) override { return end; }
  void enable_reconnect(const std::string&, const std::vector<BackingExport>&) override {}
  void release_exports(const std::string& name) override {
    running(name);
    ++released;
  }
  void start_pull(const std::string& name, const std::string&, uint64_t) override {
    running(name);
    ++pulls_begun;
    if (failing_pulls > 0) {
      --failing_pulls;
      return;
    }
    running(name).pull_looks = 2;
  }
  std::optional<PullJob> pull_progress(const std::string& name, const std::string&) override {
    Running& domain = running(name);
    if (domain.pull_looks == 0) return std::nullopt;
    if (--domain.pull_looks == 0) domain.xml = without_exports(domain.xml);
    return PullJob{1, 2};
  }
  void cancel_pull(const std::string& name, const std::string&) override {
    running(name).pull_looks = 0;
    ++pulls_cancelled;
  }
  std::vector<DomainSummary> list() override {
    std::vector<DomainSummary> all;
    for (const auto& [name, domain] : domains) {
      auto mark = read_mark(domain.xml);
      if (mark) all.push_back({name, "", mark->boot, mark->state_directory, domain.state});
    }
    for (const auto& [name, xml] : defined) {
      auto mark = read_mark(xml);
      if (mark && !domains.contains(name))
        all.push_back({name, "", mark->boot, mark->state_directory, DomainState::off});
    }
    return all;
  }
  DomainState state(const std::string& name) override {
    return domains.contains(name) ? domains[name].state : DomainState::off;
  }
  std::string domain_xml(const std::string& name) override { return running(name).xml; }
  void destroy(const std::string& name) override { domains.erase(name); }
  void shutdown(const std::string& name) override {
    running(name);
    domains.erase(name);
  }
  void reset(const std::string& name) override { running(name); }
  void pause(const std::string& name) override { running(name).state = DomainState::paused; }
  void resume(const std::string& name) override { running(name).state = DomainState::running; }
  Screenshot screenshot(const std::string& name) override {
    running(name);
    return {"image/png", {}};
  }
  std::vector<AddressClaim> address_claims(const std::string& name, ClaimSource source) override {
    running(name);
    return source == ClaimSource::agent ? claims : std::vector<AddressClaim>();
  }
  std::string bridge_of(const std::string&) override { return bridge_name; }

 private:
  Running& running(const std::string& name) {
    auto found = domains.find(name);
    if (found == domains.end())
      throw base::Error(base::ErrorCode::not_found, "there is no domain " + name);
    return found->second;
  }
};

}  // namespace appliance::boot
