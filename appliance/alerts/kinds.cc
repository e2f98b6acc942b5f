#include "appliance/alerts/kinds.h"

#include <algorithm>
#include <array>

#include "appliance/alerts/conditions.h"

namespace appliance::alerts {
namespace {

constexpr std::array kKinds{
    AlertKind{kMachineOverdue, Severity::critical,
              "a newer point should exist, whatever the reason: the host is silent or revoked, no "
              "agent runs, syncs fail, the schedule is off, or the machine is not protected any "
              "more (then 24 hours after its last point)",
              "Remove the reason that the message names; 'muletto sync start MACHINE' tries a sync "
              "at once."},
    AlertKind{
        kMachineUnprotected, Severity::warning, "an agent sees the machine, and nobody protects it",
        "Protect it with 'muletto machine protect MACHINE', or take it from the agent's list."},
    AlertKind{kSyncFailing, Severity::critical, "three syncs in a row have failed",
              "Read the last job with 'muletto job list --kind sync' and remove what it names."},
    AlertKind{
        kInstantVmDown, Severity::critical,
        "an instant VM was cut off and is not started again, for good or for now",
        "See 'muletto boot show', remove the problem it names, then 'muletto boot power ID on'."},
    AlertKind{kHostSilent, Severity::critical,
              "an agent that runs as a service was not heard for 3 minutes",
              "See on the host whether muletto-agent runs and reaches the appliance: muletto-agent "
              "status."},
    AlertKind{kVerificationFailed, Severity::critical,
              "the newest point that was tested failed its test boot, with the reason",
              "Look at its screen with 'muletto verify show', then find the newest good point with "
              "'muletto verify bisect MACHINE'."},
    AlertKind{
        kVerificationOverdue, Severity::critical,
        "no test boot of the machine has passed for the policy's 'verify-within', whether "
        "they failed, were inconclusive, or did not run",
        "See what became of the tests with 'muletto verify list', and order one with 'muletto "
        "verify start MACHINE@latest'."},
    AlertKind{kRecoverySlow, Severity::warning,
              "the median of the newest three passed test boots is longer than the policy's 'rto'",
              "Give the appliance more memory, faster disks or KVM, or set a target that it can "
              "keep."},
    AlertKind{kStoreNearlyFull, Severity::warning, "less than a tenth of the file system is free",
              "Keep fewer points (muletto policy set --keep), delete some, compact the store, or "
              "give it more room."},
    AlertKind{kPointsDamaged, Severity::critical,
              "the last check of the store found points damaged",
              "Sync the machines, which sends again what is still there, and check again; see to "
              "the disk that damaged them."},
    AlertKind{kStoreDamaged, Severity::critical,
              "the last check of the store found problems that touch no point, as a key file that "
              "is not whole",
              "Read the check's job for the files it names, and see to the disk."},
    AlertKind{
        kClockWrong, Severity::warning, "a host's clock is off from the appliance's",
        "Set the host's clock, and have it kept by NTP; its points are in their right order all "
        "the same."},
    AlertKind{
        kApplianceClock, Severity::critical, "the appliance's own clock cannot be believed",
        "Set it right, and have it kept by NTP; then 'muletto clock show' and, if it is right, "
        "'muletto clock accept'. Until then nothing is deleted by its age."},
    AlertKind{
        kStoreUnusable, Severity::critical,
        "a tenant's store is missing, foreign, read-only, damaged, or another process's",
        "Mount its disk, or bring its folder back; it is taken up by itself. For a store that "
        "came from elsewhere: muletto tenant adopt."},
    AlertKind{
        kPointsMissing, Severity::critical,
        "points that the catalog knows are not in their store any more",
        "Find out who or what removed them; once you know that they are gone for good: muletto "
        "tenant recompute."},
    AlertKind{
        kDependencyMissing, Severity::critical,
        "something that the appliance needs is not there: libvirt, a folder, a key, a program",
        "Bring back what the message names; it is taken up by itself."},
    AlertKind{
        kRetentionHeld, Severity::warning,
        "points are to go and are not removed: a new rule waits, something is not known, or the "
        "last point that passed its test boot is older than the policy keeps",
        "See with 'muletto policy preview' what would go; if it is meant, 'muletto policy apply "
        "--now'. Else remove the reason that the message names."},
    AlertKind{kRetentionFailing, Severity::critical,
              "points that policies do not keep cannot be removed, so that the store fills",
              "Remove the reason that the message names; it is tried again by itself."},
    AlertKind{kDutyFailing, Severity::critical,
              "the appliance cannot do one of its own duties, or does not come to the end of it",
              "Remove the reason that the message names; if it names none that you know, read the "
              "daemon's log."},
    AlertKind{kAlertChannelFailing, Severity::warning,
              "alerts do not reach those who are to be told by the command or the webhook",
              "Correct alerts.command or alerts.webhook in mulettod.toml, and try it with 'muletto "
              "alert test'."},
    AlertKind{kHostMisbehaves, Severity::critical,
              "an agent asked for what no honest one does: orders that nobody gave it, names or "
              "requests without end, a neighbour's machines",
              "Look at that host. If it is not yours any more: muletto host revoke HOST. The alert "
              "closes an hour after the last time."},
    AlertKind{kSyncsWithoutSpace, Severity::critical,
              "no sync is taken: what is free on the disk is kept for instant VMs and deletions",
              "Delete points and run 'muletto tenant compact', or enlarge the disk; see to the "
              "host that the message names."},
    AlertKind{kQuotaNearlyUsed, Severity::warning,
              "a tenant's store takes 80 % of its quota or more",
              "Delete points and run 'muletto tenant compact', or allow more with 'muletto tenant "
              "set NAME --quota SIZE'."},
    AlertKind{kHostVolume, Severity::warning,
              "a host has stored 80 % or more of what it may in 24 hours",
              "Find out what writes so much on it, or raise limits.host_volume."},
    AlertKind{
        kIsolationLost, Severity::warning,
        "isolated VMs could reach this machine: its firewall rules against it were taken away, "
        "or cannot be put in force",
        "Find out what flushes the firewall (firewall-cmd --reload, nft flush ruleset) and keep "
        "it from doing so. The alert closes an hour after the last time."},
    AlertKind{kCertificateEnds, Severity::warning,
              "a certificate of a host or of the appliance ends within 60 days",
              "Do what the message says, in time."},
    AlertKind{kInternalError, Severity::warning,
              "something in the daemon failed in a way that it was not made for; the rest goes on",
              "Keep the daemon's log, and send it with a report. The alert closes after a day "
              "without another failure."},
};

constexpr AlertKind kUnknown{"", Severity::critical, "", "Read the message."};

}  // namespace

std::string_view severity_name(Severity severity) {
  return severity == Severity::critical ? "critical" : "warning";
}

std::span<const AlertKind> alert_kinds() { return kKinds; }

const AlertKind& kind_of(std::string_view name) {
  auto found = std::find_if(kKinds.begin(), kKinds.end(),
                            [&](const AlertKind& kind) { return kind.name == name; });
  return found == kKinds.end() ? kUnknown : *found;
}

}  // namespace appliance::alerts
