#include "appliance/alerts/kinds.h"

#include <algorithm>
#include <array>

#include "appliance/alerts/conditions.h"
#include "base/enum_names.h"

namespace appliance::alerts {
namespace {

constexpr std::array kKinds{
    AlertKind{kMachineOverdue, Severity::critical,
              "a newer point should exist, whatever the reason: the host is silent or "
              "revoked, no agent runs, syncs fail, the schedule is off, or the machine is "
              "no longer protected (then 24 hours after its last point)",
              "Fix the problem that the message names; 'muletto sync start MACHINE' starts "
              "a sync at once."},
    AlertKind{kMachineUnprotected, Severity::warning,
              "an agent reports the machine, and no policy protects it",
              "Protect it with 'muletto machine protect MACHINE', or remove it from the "
              "agent's machines."},
    AlertKind{kSyncFailing, Severity::critical, "three syncs in a row have failed",
              "Read the last job with 'muletto job list --kind sync' and fix what it names."},
    AlertKind{kInstantVmDown, Severity::critical,
              "an instant VM was interrupted and is not restarted, either permanently or "
              "for now",
              "See 'muletto boot show', fix the problem it names, then 'muletto boot power "
              "ID power-on'."},
    AlertKind{kTimelineTaken, Severity::critical,
              "a machine runs in production, and its syncs are refused because an instant VM has "
              "taken its place",
              "If the VM is a trial, let production sync again: 'muletto boot set ID --timeline "
              "production'. If it is the truth, switch the old machine off."},
    AlertKind{kHostSilent, Severity::critical,
              "an agent that runs as a service was not heard for 3 minutes",
              "Check on the host whether muletto-agent runs and reaches the appliance: "
              "muletto-agent status."},
    AlertKind{
        kVerificationFailed, Severity::critical,
        "the newest tested point failed its test boot, with the reason",
        "See why with 'muletto verify explain NUMBER', then find the newest good point with "
        "'muletto verify bisect MACHINE'. If the verdict is wrong: 'muletto verify correct'."},
    AlertKind{kVerificationOverdue, Severity::critical,
              "no test boot of the machine has passed for the policy's 'verify-within', whether "
              "they failed, were inconclusive, or did not run",
              "See the results of the tests with 'muletto verify list', and start one with "
              "'muletto verify start MACHINE@latest'."},
    AlertKind{kRecoverySlow, Severity::warning,
              "the median of the newest three passed test boots is longer than the policy's 'rto'",
              "Give the appliance more memory, faster disks or KVM, or set a target that "
              "it can meet."},
    AlertKind{kStoreNearlyFull, Severity::warning, "less than a tenth of the file system is free",
              "Keep fewer points (muletto policy set --keep), delete some, compact the "
              "store, or enlarge its disk."},
    AlertKind{kPointsDamaged, Severity::critical,
              "the last check of the store found damaged points",
              "Sync the machines, which sends again what is still there, and check again; "
              "find out why the disk damaged them."},
    AlertKind{kStoreDamaged, Severity::critical,
              "the last check of the store found problems that affect no point, such as a "
              "damaged key file",
              "Read the check's job for the files it names, and check the disk."},
    AlertKind{kClockWrong, Severity::warning, "a host's clock differs from the appliance's",
              "Set the host's clock, and have it synchronized by NTP; its points are in "
              "the right order anyway."},
    AlertKind{kApplianceClock, Severity::critical, "the appliance's own clock cannot be trusted",
              "Set it right, and have it synchronized by NTP; then run 'muletto clock "
              "show' and, if it is right, 'muletto clock accept'. Until then nothing is "
              "deleted by age."},
    AlertKind{kStoreUnusable, Severity::critical,
              "a tenant's store is missing, foreign, read-only, damaged, or held by "
              "another process",
              "Mount its disk, or bring its folder back; it is picked up automatically. "
              "For a store that came from elsewhere: muletto tenant adopt."},
    AlertKind{kPointsMissing, Severity::critical,
              "points that the catalog knows are no longer in their store",
              "Find out who or what removed them; once you know that they are gone for "
              "good: muletto tenant recompute --forget."},
    AlertKind{kDependencyMissing, Severity::critical,
              "something that the appliance needs is missing: libvirt, a folder, a key, a "
              "program",
              "Bring back what the message names; it is picked up automatically."},
    AlertKind{kRetentionHeld, Severity::warning,
              "points are due for removal and are kept: a new rule waits, information is "
              "missing, or the last point that passed its test boot is older than the "
              "policy keeps",
              "See with 'muletto policy preview' what would be removed; to confirm it, "
              "'muletto policy apply --now'. Otherwise fix the problem that the message "
              "names."},
    AlertKind{
        kRestoreFailed, Severity::critical,
        "a restore to a folder or a host has failed, and no later one to the same target "
        "has succeeded",
        "See why with 'muletto restore list' and 'muletto job follow JOB', and order it again: "
        "it continues where it was. If the restore is not wanted any more: 'muletto alert ack "
        "ALERT'."},
    AlertKind{kRetentionFailing, Severity::critical,
              "points that policies do not keep cannot be removed, so that the store fills",
              "Fix the problem that the message names; it is retried automatically."},
    AlertKind{kFailbackUndecided, Severity::critical,
              "a machine was handed to its host, which does not say whether it runs; so "
              "nobody runs it",
              "Bring the host and its agent back: it goes on by itself. If the host is off and "
              "stays off: muletto failback keep FAILBACK --home-is-off MACHINE."},
    AlertKind{kFailbackFailing, Severity::warning,
              "a step of a failback does not succeed; the machine runs on where it runs",
              "Fix the problem that the message names; it is tried again by itself. "
              "'muletto failback show' tells more."},
    AlertKind{kOriginalStarted, Severity::critical,
              "the old copy of a machine was started on its host while the machine runs as an "
              "instant VM; its agent ended it",
              "Bring the machine home with 'muletto failback', or stop the instant VM before the "
              "old copy is started. The alert closes an hour after the last start."},
    AlertKind{kOriginalUnguarded, Severity::critical,
              "the agent cannot keep the old copy of a machine off while the machine runs as an "
              "instant VM",
              "Fix the problem that the message names, and make sure that nobody starts the old "
              "copy."},
    AlertKind{kDutyFailing, Severity::critical,
              "a duty of the appliance itself fails or does not finish",
              "Fix the problem that the message names; if it names none that you "
              "recognise, read the daemon's log."},
    AlertKind{kAlertChannelFailing, Severity::warning, "a channel cannot notify people of alerts",
              "See 'muletto channel show CHANNEL', fix what it names, and test it with 'muletto "
              "channel test CHANNEL'. Notices wait for a day."},
    AlertKind{kHostMisbehaves, Severity::critical,
              "an agent asked for what no honest agent asks for: orders that were not "
              "given to it, endless names or requests, machines of other hosts",
              "Check that host. If it is not yours any more: muletto host revoke HOST. The "
              "alert closes an hour after the last occurrence."},
    AlertKind{kSyncsWithoutSpace, Severity::critical,
              "syncs are refused: the free space on the disk is reserved for instant VMs "
              "and deletions",
              "Delete points and run 'muletto tenant compact', or enlarge the disk; check "
              "the host that the message names."},
    AlertKind{kQuotaNearlyUsed, Severity::warning,
              "a tenant's store takes 80 % of its quota or more",
              "Delete points and run 'muletto tenant compact', or allow more with 'muletto tenant "
              "set NAME --quota SIZE'."},
    AlertKind{kHostVolume, Severity::warning,
              "a host has stored 80 % or more of what it may in 24 hours",
              "Find out what writes so much on it, or raise limits.host_volume."},
    AlertKind{kIsolationLost, Severity::warning,
              "isolated VMs could reach this machine: its firewall rules against it were "
              "removed, or cannot be applied",
              "Find out what flushes the firewall (firewall-cmd --reload, nft flush "
              "ruleset) and prevent it. The alert closes an hour after the last occurrence."},
    AlertKind{kCertificateEnds, Severity::warning,
              "a certificate of a host or of the appliance expires within 60 days",
              "Do what the message says, before it expires."},
    AlertKind{
        kGuessing, Severity::warning,
        "somebody is kept waiting after many wrong passwords or codes",
        "See in 'muletto audit list' from where. If it is nobody of yours, keep that network "
        "away from the appliance's port; a person who forgot his password needs 'muletto user "
        "set-password NAME'."},
    AlertKind{
        kAuditBroken, Severity::critical,
        "the audit log cannot be written, so that changes are refused, or entries of it were "
        "changed or removed",
        "See with 'muletto audit verify' what is wrong. Keep a copy of the catalog and of the "
        "stores' folders 'audit' as they are, then find out who could write there."},
    AlertKind{kBackupOld, Severity::warning,
              "a store's newest backup of the appliance's catalog and keys is older than two days",
              "Fix the problem that the message names, and make one by hand meanwhile: 'muletto "
              "appliance backup FILE'."},
    AlertKind{
        kVerificationInconclusive, Severity::warning,
        "the newest three test boots of a machine were inconclusive",
        "See why with 'muletto verify explain NUMBER'; name a check that shows whether it is up: "
        "'muletto verify checks'."},
    AlertKind{
        kDataLooksEncrypted, Severity::critical,
        "syncs store far more than the machine changes otherwise, of data that does not "
        "shrink: its files may be being encrypted. The newest point before that is held for 90 "
        "days",
        "Look at the machine now; if it is an attack, take it off the network and start the "
        "held point that the message names: 'muletto boot start POINT'. The alert closes a "
        "week after the last such sync."},
    AlertKind{kCompactionFailing, Severity::warning,
              "three compactions of a store in a row have failed, so that space is not freed",
              "Read the last job with 'muletto job list --kind compact' and fix what it names."},
    AlertKind{kStoreFills, Severity::warning,
              "a disk of the appliance is full within two weeks if it goes on as in the last days",
              "Keep fewer points (muletto policy set --keep), delete some, or enlarge the disk."},
    AlertKind{kDiskErrors, Severity::critical,
              "a disk of the appliance has lost sectors, or says that it is failing (SMART)",
              "Replace the disk; until then, have a copy of the store elsewhere."},
    AlertKind{kArrayDegraded, Severity::critical,
              "an array of the appliance (md, ZFS) lacks a disk",
              "Replace the disk that failed: see 'cat /proc/mdstat' or 'zpool status'."},
    AlertKind{kAgentOutdated, Severity::warning, "an agent has another version than the appliance",
              "Install the appliance's version of muletto-agent on the host."},
    AlertKind{kInternalError, Severity::warning,
              "something in the daemon failed unexpectedly; the rest keeps working",
              "Save the daemon's log, and send it with a bug report. The alert closes "
              "after a day without another failure."},
};

constexpr auto kSeverities = base::enum_names<Severity>(
    "a severity", {{Severity::critical, "critical"}, {Severity::warning, "warning"}});

constexpr AlertKind kUnknown{"", Severity::critical, "", "Read the message."};

}  // namespace

std::string_view severity_name(Severity severity) { return kSeverities.name(severity); }

std::span<const AlertKind> alert_kinds() { return kKinds; }

const AlertKind& kind_of(std::string_view name) {
  auto found = std::find_if(kKinds.begin(), kKinds.end(),
                            [&](const AlertKind& kind) { return kind.name == name; });
  return found == kKinds.end() ? kUnknown : *found;
}

}  // namespace appliance::alerts
