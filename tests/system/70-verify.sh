#!/usr/bin/env bash
# timeout: 600
# Test boots: a healthy guest passes, an empty disk and a panic fail with their reasons, a service that is demanded and
# dead fails, file systems are checked, bisect finds the newest good point, a report tells it all, and nothing is left,
# also when the daemon is killed.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit nbdfuse virsh tesseract weasyprint pdftotext debugfs mkfs.xfs xfs_repair mkfs.btrfs mkntfs mcopy
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt
record_api

state=$WORK/state run=$WORK/run

printf '[verification]\nwatch_on = "3s"\n' > "$WORK/mulettod.toml"
start_daemon() {
  start_appliance --config "$WORK/mulettod.toml"
}
add_point() { muletto store import "$state/stores/default" --machine "$1" --disk "vda=$2" --format raw > /dev/null; }

"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web --size 128
"$SOURCE/tests/guests/build-guest" "$WORK/panic.img" --hostname panic --size 128 --kernel-args "rdinit=/nowhere root=/dev/none"
truncate -s 64M "$WORK/empty.img"
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
add_point panic "$WORK/panic.img"
add_point empty "$WORK/empty.img"
# A second disk as a power cut leaves it: the journal has to be replayed, and that is no damage.
truncate -s 32M "$WORK/data.img" && mke2fs -q -F -t ext4 -b 1024 "$WORK/data.img"
printf '%s\n' journal_open 'journal_write -b 20000 /dev/zero' journal_close | debugfs -w -f - "$WORK/data.img" > /dev/null 2>&1
# At first the second disk was empty.
truncate -s 32M "$WORK/blank.img"
muletto store import "$state/stores/default" --machine web --disk "vda=$WORK/web.img" --disk "vdb=$WORK/blank.img" --format raw > /dev/null
# Disks with every other kind of file system, and each of them damaged as a machine of its own.
kinds=(xfs btrfs ntfs vfat) disks=()
mkdir "$WORK/files" && cp -r "$SOURCE/tests" "$WORK/files"
for kind in "${kinds[@]}"; do truncate -s 320M "$WORK/$kind.img" && disks+=(--disk "$kind=$WORK/$kind.img"); done
mkfs.xfs -q "$WORK/xfs.img"
mkfs.btrfs -q -m single --rootdir "$WORK/files" "$WORK/btrfs.img" > /dev/null
mkntfs -q -F "$WORK/ntfs.img" > /dev/null
mkfs.vfat -F 32 "$WORK/vfat.img" > /dev/null && mcopy -i "$WORK/vfat.img" -s "$WORK/files/tests" ::
muletto store import "$state/stores/default" --machine web --disk "vda=$WORK/web.img" --disk "vdb=$WORK/data.img" "${disks[@]}" --format raw > /dev/null
# damage KIND OFFSET SIZE
damage() { head -c "$3" /dev/urandom | dd of="$WORK/$1.img" bs=4096 seek=$(($2 / 4096)) conv=notrunc status=none; }
damage xfs 4096 12288
root=$(btrfs inspect-internal dump-super "$WORK/btrfs.img" | awk '$1 == "root" { print $2 }')
damage btrfs "$(btrfs-map-logical -l "$root" "$WORK/btrfs.img" | awk '{ print $6 }')" 16384
# The second record of its table of files.
head -c 1024 /dev/urandom | dd of="$WORK/ntfs.img" bs=1024 seek=17 conv=notrunc status=none
# A file's chain of clusters leads out of the table.
printf '\xee\xff\xff\x00' | dd of="$WORK/vfat.img" bs=1 seek=$((32 * 512 + 5 * 4)) conv=notrunc status=none
for kind in "${kinds[@]}"; do
  muletto store import "$state/stores/default" --machine "damaged-$kind" --disk "$kind=$WORK/$kind.img" --format raw > /dev/null
done
# Later the second disk lost its head, and then everything was gone.
cp "$WORK/data.img" "$WORK/headless.img" && head -c 4096 /dev/zero | dd of="$WORK/headless.img" conv=notrunc status=none
muletto store import "$state/stores/default" --machine web --disk "vda=$WORK/web.img" --disk "vdb=$WORK/headless.img" --format raw > /dev/null
add_point web "$WORK/empty.img"
table=$(dumpe2fs "$WORK/data.img" 2> /dev/null | awk '/Inode table at/ { sub(/-.*/, "", $4); if (!n++) print $4 }')
head -c 4096 /dev/urandom | dd of="$WORK/data.img" bs=1024 seek="$table" conv=notrunc status=none
muletto store import "$state/stores/default" --machine damaged --disk "vda=$WORK/web.img" --disk "vdb=$WORK/data.img" --format raw > /dev/null
start_daemon
muletto tenant adopt default > /dev/null

web_point() { muletto point list -o json | json "[.points[] | select(.machine == \"web\")][$1].id"; }
before_data=$(web_point 0) newest=$(web_point 1) without_data=$(web_point 2)
expect_failure 3 "" muletto verify start nobody@latest
expect_failure 2 "is not a check" muletto verify checks web --set "ping:me"

# verdict SELECTOR EXPECTED   runs a test boot and compares what it says.
verdict() {
  local status=0
  muletto verify start "$1" -o json > "$WORK/seen.json" || status=$?
  [ "$(json .verification.verdict < "$WORK/seen.json")" = "$2" ] \
    || fail "$1: $(jq -c '.verification | {verdict, reasons, evidence}' < "$WORK/seen.json")"
  case $2 in pass) [ $status = 0 ] ;; fail) [ $status = 20 ] ;; *) [ $status = 21 ] ;; esac
}

verdict "$newest" pass
jq -e '.verification.recovery_ms > 1000 and (.verification.pictures | length) > 0' < "$WORK/seen.json" > /dev/null
jq -e '[.verification.evidence[] | select(.signal == "file system" and .good)] | length == 6' < "$WORK/seen.json" > /dev/null \
  || fail "not all file systems were found whole: $(jq -c '.verification.reasons' < "$WORK/seen.json")"
jq -e '.verification | .settled and .judged_ms - .decisive_ms <= 5000' < "$WORK/seen.json" > /dev/null || fail "the verdict came late"
mkdir "$WORK/pictures"
muletto verify show "$(json .verification.number < "$WORK/seen.json")" --pictures "$WORK/pictures" > /dev/null
[ "$(file -b --mime-type "$WORK/pictures/1.png")" = image/png ] || fail "no picture"
# reason WORDS   the last verdict's first reason.
reason() {
  jq -e --arg words "$1" '.verification.reasons[0] | test($words)' < "$WORK/seen.json" > /dev/null \
    || fail "the wrong reason: $(jq -c .verification.reasons < "$WORK/seen.json")"
}
verdict empty@latest fail
reason "nothing to boot"
verdict web@latest fail
reason "^vda1 holds nothing"
# What was there in the last pass and is not any more is a fail, also when the system starts without it; unless it was
# given up on purpose.
muletto verify checks web | has -x "learned   volume:vdb" || fail "not learned: $(muletto verify checks web)"
verdict "$without_data" fail
reason "^vdb holds nothing"
# A point that is older need not have what came later.
verdict "$before_data" pass
kept=$(muletto verify checks web --relearn)
[[ $kept != *"learned  "* ]] || fail "still learned: $kept"
verdict "$without_data" pass
verdict panic@latest fail
reason "panic"

# A file system that is damaged is a fail although the system may boot.
verdict damaged@latest fail
reason "file system on vdb"

for kind in "${kinds[@]}"; do
  verdict "damaged-$kind@latest" fail
  reason "file system on $kind "
done

# Own scripts: in the guest, and on the appliance against the isolated network.
mkdir -p "$state/checks"
printf '#!/bin/sh\ncurl -sf --max-time 5 "http://$MULETTO_GUEST/" | grep -q "hello from web"\n' > "$state/checks/front-page"
chmod 755 "$state/checks/front-page"
muletto verify checks web --set appliance:front-page --set "guest:test -e /www/index.html" > /dev/null
verdict "$newest" pass
jq -e '[.verification.reasons[] | select(test("succeeded"))] | length == 2' < "$WORK/seen.json" > /dev/null \
  || fail "the scripts are not named: $(jq -c .verification.reasons < "$WORK/seen.json")"

# A service that is demanded and dead.
muletto verify checks web --set tcp:4444 > /dev/null
verdict "$newest" fail
reason "tcp:4444"
muletto verify checks web --clear > /dev/null

[ "$(muletto verify bisect web -o json | json .point)" = "$without_data" ] || fail "bisect found another point"
muletto verify list --machine web | has "Proved recovery time"

# What it means: alerts of a target that is missed and of points that fail, and the report.
muletto policy set default --rto 1s > /dev/null
_alerts() { muletto alert list -o json | jq -e '[.alerts[].kind] | index("recovery-slow") and index("verification-failed")'; }
wait_until 15 "the alerts are there" _alerts
muletto machine show web | has "Proved recovery time" || fail "machine show does not tell the recovery time"
muletto report create --timezone Europe/Rome --out "$WORK/report.html" > /dev/null
grep -q 'data:image/png;base64,' "$WORK/report.html" || fail "no screen in the report"
! grep -qE '(src|href)="?(https?:|//|file:)' "$WORK/report.html" || fail "the report refers to something outside"
muletto report create --timezone Europe/Rome --out "$WORK/report.pdf" > /dev/null
pdftotext "$WORK/report.pdf" "$WORK/report.txt"
grep -q "test failed" "$WORK/report.txt" || fail "the PDF does not tell what failed"
expect_failure 2 "before" muletto report create --from 2026-02-01 --to 2026-01-01 --out "$WORK/none.html"
[ -z "${MULETTO_REPORT_COPY:-}" ] || cp "$WORK"/report.* "$MULETTO_REPORT_COPY"

# Killed in the middle: the next daemon leaves nothing of it.
curl -sf --unix-socket "$MULETTO_SOCKET" -X POST -d "{\"point\": \"$newest\"}" http://localhost/api/v1/verifications > /dev/null
_runs() { virsh list --name | has muletto-web; }
wait_until 20 "the test boot runs" _runs
stop_background mulettod KILL
start_daemon
_gone() {
  ! virsh list --name | has muletto- && ! virsh net-list --name | has muletto-test &&
    [ -z "$(find "$state/verify" -name 'overlay*' -o -name '*.qcow2')" ]
}
wait_until 20 "the test boot is cleaned away, its overlay too" _gone
[ -z "$(pgrep -f "nbdkit .*-U $run/" || true)" ] || fail "an export is left"
[ -z "$(pgrep -f "nbdfuse.*store=$state/" || true)" ] || fail "a view of a disk is left"
