// The steps of one failback (the table in docs/failback.md), taken in turns: each call does what can be
// done at once, and what takes long is somebody else's job, which the next turn looks at. A turn that
// finds nothing in memory, after a restart of the daemon, begins the recorded step again.
//
// Not thread-safe: the failbacks' thread alone uses it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "appliance/boot/handover.h"
#include "appliance/failback/failback_rows.h"
#include "appliance/failback/failback_service.h"
#include "appliance/failback/home_orders.h"

namespace appliance::failback {

class FailbackTurn {
 public:
  FailbackTurn(const Links& links, FailbackRows& rows, const catalog::Failback& row);
  ~FailbackTurn();  // its job has failed unless the failback is over; the order is cancelled

  // Never throws: what stands in the way is the row's problem. Returns whether it is switching now.
  bool take(bool may_switch);

 private:
  using Row = catalog::Failback;
  using Step = catalog::FailbackStep;
  struct Work {
    jobs::JobId job;
    uint64_t begun_ms = 0;  // steady
  };

  void step(bool may_switch);
  void survey();
  void copy_first();
  void follow(bool may_switch);
  void follow_ended(bool may_switch);
  void take_round();
  void end_here();
  void take_last();
  void hand_over();
  void start_there();
  void keep_here();
  void bring_back(const std::string& why);
  // If the row says that the machine is here and the VM does not: a crash came between the two.
  void settle_here();

  // Begins the order unless it runs, and returns its job once that is over.
  std::optional<catalog::Job> order(HomeStep step, const images::PointId& point);
  std::optional<catalog::Job> sync();
  std::optional<catalog::Job> outcome(std::optional<Work>& work);
  void drop(std::optional<Work>& work);  // cancels it, and does not wait
  // An order failed: says why, and when to try again.
  void fail_for_now(const std::string& why);

  bool wants_switch(bool may_switch);
  uint64_t predicted_ms() const;
  images::PointId newest_point() const;
  boot::Handover& handover() { return links_.boots.handover(); }

  template <typename Change>
  void change(Change change) {
    row_ = rows_.change(row_.id, access::TenantScope::all(), change);
  }
  void go(Step step, const std::string& sentence);  // durable, then said
  void end(Step step, const std::optional<base::Error>& error);
  void say(const std::string& sentence);
  void show();
  void ensure_job();

  const Links& links_;
  FailbackRows& rows_;
  Row row_;
  const boot::BootId boot_;
  std::unique_ptr<jobs::AttachedJob> job_;
  std::optional<Work> order_, sync_;
  std::optional<images::PointId> fresh_;  // synced, and not at home yet
  std::optional<HomeStep> ordered_;       // what order_ is
  uint64_t not_before_ms_ = 0;            // steady: a failure is tried again then
  uint64_t step_began_ms_ = 0;            // steady, in this process
  uint64_t asked_ms_ = 0;                 // steady: the guest was asked to shut down; 0: not yet
  uint64_t sync_ms_ = 0;                  // how long the last sync took
  uint32_t failures_ = 0;                 // in a row
  bool is_voiding_ = false;               // home is asked never to start it
};

}  // namespace appliance::failback
