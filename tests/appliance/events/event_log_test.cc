#include "appliance/events/event_log.h"

#include <catch2/catch.hpp>
#include <thread>

#include "appliance/events/vm_watch.h"
#include "appliance/events/watched_jobs.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::events {
namespace {

using access::TenantName;
using access::TenantScope;

std::vector<std::string> ids_of(const EventLog::Piece& piece) {
  std::vector<std::string> ids;
  for (const Event& event : piece.events) ids.push_back(event.id);
  return ids;
}

boot::InstantVm make_vm(const std::string& machine, boot::VmState state) {
  boot::InstantVm vm;
  vm.id = boot::BootId::random();
  vm.machine_name = machine;
  vm.tenant = TenantName("default");
  vm.state = state;
  return vm;
}

}  // namespace

TEST_CASE("a place in the log is kept until its events are gone", "[events]") {
  EventLog log(500);
  const TenantName a("a"), b("b");
  CHECK(log.newest() == 500);
  CHECK_FALSE(log.is_followed());
  CHECK_FALSE(log.after(500, TenantScope::all(), 10).is_lost);
  CHECK(log.is_followed());
  CHECK(log.after(499, TenantScope::all(), 10).is_lost);
  CHECK(log.after(501, TenantScope::all(), 10).is_lost);
  for (int i = 0; i < 6; ++i) log.add({.tenant = i % 2 == 0 ? a : b, .id = std::to_string(i)});

  CHECK(ids_of(log.after(500, a, 10)) == std::vector<std::string>{"0", "2", "4"});
  CHECK(log.after(500, TenantScope(), 10).events.empty());
  // Piece by piece, by whatever limit, nothing is missed and nothing comes twice.
  for (size_t limit : {1u, 2u, 3u}) {
    std::vector<std::string> all;
    for (uint64_t place = 500; place != log.newest();) {
      EventLog::Piece piece = log.after(place, b, limit);
      CHECK(piece.events.size() <= limit);
      if (piece.next == place) break;
      place = piece.next;
      for (const std::string& id : ids_of(piece)) all.push_back(id);
    }
    CHECK(all == std::vector<std::string>{"1", "3", "5"});
  }

  for (size_t i = 0; i < EventLog::kMaxKept - 1; ++i) log.add({.tenant = a});
  CHECK(log.after(500, b, 10).is_lost);
  CHECK(log.after(505, b, 10).next > 505);
  CHECK(log.all(b).events.size() == 1);
  CHECK(log.all(TenantScope::all()).events.size() == EventLog::kMaxKept);
}

TEST_CASE("an event's texts are bounded and clean, whoever wrote them", "[events]") {
  EventLog log(0);
  log.add({.subject = "a\x1b[2Jb", .message = std::string(1 << 20, 'x') + "\xff"});
  Event event = log.all(TenantScope::all()).events.at(0);
  CHECK(event.subject.find('\x1b') == std::string::npos);
  CHECK(event.message.size() <= EventLog::kMaxText);
  CHECK(event.sequence == 1);
}

TEST_CASE("events of many threads are numbered without gaps", "[events]") {
  EventLog log(0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) log.add({});
    });
  for (std::thread& each : threads) each.join();
  auto piece = log.all(TenantScope());
  CHECK(piece.next == 800);
  CHECK(log.newest() == 800);
}

TEST_CASE("what changes between two looks at the instant VMs is an event", "[events]") {
  EventLog log(0);
  VmWatch watch(log);
  CHECK(watch.is_due());
  auto old = make_vm("old", boot::VmState::running), rest = make_vm("rest", boot::VmState::kept);
  watch.look({old, rest});
  CHECK_FALSE(watch.is_due());
  CHECK(log.newest() == 0);  // they ran before anybody could follow
  auto fresh = make_vm("fresh", boot::VmState::starting);
  watch.look({old, rest, fresh});
  CHECK(log.newest() == 0);
  fresh.state = boot::VmState::paused;  // as QEMU is while it starts
  watch.look({old, rest, fresh});
  CHECK(log.newest() == 0);
  fresh.state = rest.state = boot::VmState::running;
  watch.look({old, rest, fresh});
  fresh.state = boot::VmState::paused;
  watch.look({old, rest, fresh});
  fresh.state = boot::VmState::ended;
  fresh.problem = "QEMU was killed.";
  watch.look({rest, fresh});  // the old one is gone altogether
  auto events = log.all(TenantScope::all()).events;
  REQUIRE(events.size() == 4);
  CHECK(events[0].event == EventKind::boot_begun);
  CHECK(events[1].event == EventKind::boot_begun);
  std::map<std::string, Event> ended;
  for (size_t i : {2u, 3u}) {
    CHECK(events[i].event == EventKind::boot_ended);
    CHECK(events[i].state == "ended");
    ended[events[i].subject] = events[i];
  }
  CHECK(ended.at("fresh").message == "QEMU was killed.");
  CHECK(ended.contains("old"));
}

TEST_CASE("a job that begins and ends is two events, after they are in the catalog", "[events]") {
  auto fresh = catalog::make_catalog("sqlite");
  EventLog log(0);
  WatchedJobs jobs(fresh->get(), log);
  catalog::Job job;
  job.kind = "boot";
  job.tenant = TenantName("default");
  job.subject = "web";
  job.id = jobs.add_job(job);
  CHECK(log.newest() == 0);
  jobs.start_job(job.id, 5);
  jobs.start_job({999'999}, 5);  // not in the catalog
  job.state = catalog::JobState::failed;
  job.error_code = base::ErrorCode::no_space;
  job.error_message = "the disk is full";
  job.ended_ms = 6;
  jobs.end_job(job);
  auto events = log.all(TenantName("default")).events;
  REQUIRE(events.size() == 2);
  CHECK(events[0].event == EventKind::job_begun);
  CHECK(events[0].state == "running");
  CHECK(events[1].event == EventKind::job_ended);
  CHECK(events[1].state == "failed");
  CHECK(events[1].message == "the disk is full");
  CHECK(events[1].id == std::to_string(job.id.number));
  CHECK(jobs.find_job(job.id)->state == catalog::JobState::failed);
}

}  // namespace appliance::events
