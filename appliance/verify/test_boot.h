// One complete test boot: starts the point as an instant VM on a network of its own, collects
// evidence until it can be judged, and discards the VM. One thread per call.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/host/guest_watch.h"
#include "appliance/catalog/verification_records.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/verify/evidence.h"
#include "appliance/verify/taught_text.h"
#include "appliance/verify/verdict.h"
#include "images/volumes/keys/volume_key.h"

namespace appliance::verify {

struct TestBootPlan {
  boot::PointSource source;
  images::PointId point;
  std::string requested_by;  // as access::Requester
  std::vector<Expectation> expected;
  VerdictLimits limits;
  TaughtTexts taught;
  std::string scripts_directory;                        // of "appliance:NAME" checks
  std::string plugin_path;                              // as boot::BootSettings
  std::vector<images::volumes::VolumeKey> volume_keys;  // of the machine's encrypted volumes
  // The VM is running: `source.reader` is no longer used. May be empty.
  std::function<void()> on_start;
  // Opens the store again for a second start, with the other firmware; on_start follows. May be
  // empty: there is no second start.
  std::function<images::StoreReader*()> reopen;
  // Called with a pass as soon as it is certain; the VM is observed further, and the result that is
  // finally returned counts. May be empty.
  std::function<void(const struct TestBootResult&)> on_pass;
};

struct TestBootResult {
  Verdict verdict;
  Evidence evidence;
  // At most kMaxPictures, the last one shows the end.
  std::vector<catalog::VerificationPicture> pictures;
  std::string serial;      // the end of the serial log
  uint64_t start_ms = 0;   // from the order until QEMU ran
  uint64_t judged_ms = 0;  // when the verdict was given
  uint64_t seen_ms = 0;    // up to when the evidence is complete
};

constexpr size_t kMaxPictures = 12;

// `boots` has no other VM, and its isolated network is used only by this test boot. Also returns if
// the VM could not be started (inconclusive, or fail for a damaged image). Throws cancelled.
TestBootResult run_test_boot(boot::BootService& boots, boot::GuestWatch& watch,
                             const TestBootPlan& plan, jobs::JobContext& context);

}  // namespace appliance::verify
