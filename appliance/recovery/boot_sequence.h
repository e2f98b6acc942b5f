// Starts several instant VMs in order: groups one after the other, the VMs of a group in parallel.
//
// Admission. Memory: a start is refused if its memory is not available, counting what is promised
// to VMs that run or are being started (BootService). CPU: at most `max_concurrent` guests boot at
// a time, where a boot lasts from the request until the guest answers or its time is out; more
// would only slow each other down, and the first would be up as late as the last.
#pragma once

#include <string>
#include <vector>

#include "appliance/recovery/answer_wait.h"

namespace appliance::recovery {

struct BootSequencePlan {
  struct Member {
    images::PointId point;
    std::string machine;
  };
  std::vector<std::vector<Member>> groups;
  boot::BootOptions options;
  WaitPlan wait;
  uint64_t delay_ms = 0;        // between a group's last answer and the next group
  uint32_t max_concurrent = 0;  // 0: by the number of CPUs, see default_max_concurrent()
  bool keep_going = false;      // a group begins though a member of an earlier one was not started
};

// Guests that boot at a time on this appliance: emulated ones use a whole CPU while they boot, and
// wait now and then.
uint32_t default_max_concurrent(boot::Accelerator accelerator);

// What happened to one member.
enum class MemberState {
  waiting,   // its turn has not come
  starting,  // ordered, not answering yet
  answered,
  started,  // it has no network, so nothing can be asked of it
  silent,   // it runs, and did not answer in time
  failed,   // not started, or it ended
  skipped,  // a member of an earlier group failed, or the job was cancelled
};
std::string_view member_state_name(MemberState state);

// A job that ends when every member has reached its final state; their outcomes are in the job's
// figures, also while it runs: {"boots": [{group, machine, point, state, boot, error,
// start_duration_ms, answered_ms}]}. The error of one member does not affect the others: the job
// fails only at the end, with io ("2 of 10 …"), if members failed or were skipped, and with
// cancelled; VMs that were started keep running.
jobs::JobId submit_sequence(const Recovery& recovery, const access::TenantName& tenant,
                            const BootSequencePlan& plan, const access::Requester& requested_by);

constexpr uint32_t kMaxConcurrent = 64;  // guests that boot at a time, at most

}  // namespace appliance::recovery
