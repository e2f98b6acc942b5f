#!/usr/bin/env bash
# Retention by the real daemon, without libvirt: what a policy keeps is seen beforehand, a slip of the hand waits,
# held points and those of a VM stay, the rest goes; a machine is forgotten.
# timeout: 120
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore
require_commands jq
record_api

start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
head -c 2M /dev/urandom > "$WORK/web.raw"
write_agent_config agent "web=$WORK/web.raw"
enroll_agent alpha --config "$WORK/agent.toml"
sync() {  # sync NUMBER: the disk says which it is
  printf 'point %s\n' "$1" | dd of="$WORK/web.raw" conv=notrunc status=none
  muletto-agent sync web --quiet --config "$WORK/agent.toml" > /dev/null
}
points() {  # points [FILTER]: ids, oldest first
  muletto point list --machine web -o json | json ".points[] ${1:+| select($1)} | .id"
}
has_alert() {  # has_alert KIND REGEX
  muletto alert list -o json | json ".alerts[] | select(.kind == \"$1\") | .message" | grep -E "$2"
}
no_alert() {
  ! muletto alert list -o json | json ".alerts[] | select(.kind == \"$1\") | .message" | grep .
}
for number in 1 2 3 4 5 6 7 8; do sync $number; done
mapfile -t id < <(points)
[ ${#id[@]} -eq 8 ] || fail "there are ${#id[@]} points, not 8"

# ---- a rule is seen before it is followed, and one that removes much waits
muletto policy set gold --schedule off --keep "last 2"
muletto machine protect web --policy gold > /dev/null
muletto policy preview --machine web > "$WORK/preview"
[ "$(grep -c GOES "$WORK/preview")" -eq 6 ] || fail "the preview: $(cat "$WORK/preview")"
grep -q "last 2" "$WORK/preview" || fail "the preview does not say what keeps a point"
muletto policy preview gold --keep "last 5" | has "3 of 8 points would be removed" || fail "no preview of another rule"
expect_failure 3 "nobody" muletto policy preview --machine nobody
expect_failure 2 "what to keep" muletto policy preview --keep rubbish
muletto policy apply gold | has "would remove 6 of 8 points" || fail "it did not wait"
[ "$(points | wc -l)" -eq 8 ] || fail "a point went in its grace"
wait_until 20 "the alert says what would go" has_alert retention-held "would remove 6 of 8 points"

# ---- held points, and those of an instant VM, stay
muletto point hold "${id[1]}" --reason "for the auditor"
expect_failure 4 "for the auditor" muletto point delete "${id[1]}"
boot=0123456789abcdef
mkdir -p "$WORK/state/vms/$boot"
jq -n --arg boot $boot --arg point "${id[3]}" --arg store "$WORK/state/stores/default" '{
  version: 1, phase: "kept", keep_overlay: true, trace_key: "", key_file: "", passphrase_file: "", console_password: "",
  tpm_folder: "", fresh_macs: false, boot: $boot, purpose: "instant", point: $point, machine: "web", store: $store,
  started_ms: 1, start_duration_ms: 1, domain: "muletto-web-1", accelerator: "tcg", firmware: "bios", cpus: 1,
  memory: 1, pulling: false, pull_bandwidth: 0, local: false, serial_log: "", notes: [], disks: [], cards: [],
  restart: "automatic", timeline: "production", restart_count: 0, problem: "", failed_restarts: 0, next_restart_ms: 0
}' > "$WORK/state/vms/$boot/boot.json"
expect_failure 4 "$boot of web needs this point" muletto point delete "${id[3]}"
muletto policy apply --machine web --now | has "^4 points removed" || fail "not four points went"
points > "$WORK/left"
printf '%s\n' "${id[1]}" "${id[3]}" "${id[6]}" "${id[7]}" | cmp - "$WORK/left" || fail "wrong points are left"
for number in 1 3 6 7; do
  muletto-restore disk --store "$WORK/state/stores/default" "${id[number]}" --disk vda --to "$WORK/back.raw" > /dev/null
  [ "$(head -n 1 "$WORK/back.raw" | head -c 7)" = "point $((number + 1))" ] || fail "point $number is not what it was"
  rm "$WORK/back.raw"
done
wait_until 20 "the alert is over" no_alert retention-held

# ---- by itself, after a restart, and without a job when nothing is to go
retention_jobs() {
  muletto job list -o json | json '[.jobs[] | select(.kind == "retention")] | length'
}
muletto point release "${id[1]}"
before=$(retention_jobs)
stop_background mulettod KILL
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
released() {
  [ "$(points | wc -l)" -eq 3 ]
}
wait_until 20 "the released point goes by itself" released
[ "$(retention_jobs)" -eq $((before + 1)) ] || fail "there are more jobs than deletions"
muletto policy apply --machine web | has "^0 points removed" || fail "something was left to remove"
[ "$(retention_jobs)" -eq $((before + 1)) ] || fail "a job for nothing"

# ---- what cannot be known keeps everything
echo rubbish > "$WORK/state/vms/$boot/boot.json"
muletto policy set gold --keep "last 1"
expect_failure 4 "cannot be read" muletto point delete "${id[6]}"
muletto policy apply --machine web --now | has "cannot be read" || fail "it continued without the record"
released || fail "a point went though its use was not known"
rm -r "$WORK/state/vms/$boot"
muletto policy apply --machine web --now > /dev/null
[ "$(points)" = "${id[7]}" ] || fail "not the newest alone is left"

# ---- forgetting: a machine with everything of it, then its host
expect_failure 4 "with-points" muletto machine forget web --yes
expect_failure 2 "with --yes" muletto machine forget web --with-points
muletto point hold web@latest
expect_failure 4 "held" muletto machine forget web --with-points --yes
[ "$(points | wc -l)" -eq 1 ] || fail "a held point went with its machine"
muletto point release web@latest
muletto machine forget web --with-points --yes
expect_failure 3 "no machine" muletto machine show web
muletto machine list -o json | json '.machines | length' | has -x 0 || fail "the machine is still listed"
no_alert machine-unprotected || fail "an alert of a machine that is gone"
expect_failure 4 "revoke it first" muletto host forget alpha
host=$(muletto host list -o json | json '.hosts[] | select(.name == "alpha") | .id')
muletto host revoke alpha > /dev/null
muletto host forget "$host"
! muletto host list -o json | json '.hosts[].name' | grep -x alpha || fail "the host is still listed"
muletto tenant check --deep > /dev/null
