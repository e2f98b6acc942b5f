#!/usr/bin/env bash
# timeout: 900
# Restores through the appliance: a job to files there, in place, cancelled; disks as streams with ranges and checksums;
# a download that resumes. And docs/disaster-day.md: each of its commands is run, from a disk with nothing but a store.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

require_capture
require_commands curl losetup qemu-img
require_programs mulettod

# ---- a point of a machine that libvirt defines
build_guest accounting
define_guest accounting "$WORK/accounting.qcow2" --no-net
agent_sync accounting > "$WORK/result"
remove_guest accounting # its host is dead
point=$(json .point < "$WORK/result")
muletto-restore disk --store "$STORE" "$point" --disk vda --to "$WORK/truth.raw" > /dev/null

# ---- the appliance, with that store
printf '[restore]\ndirectory = "%s/restores"\n' "$WORK" > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default --store "$STORE" --yes > /dev/null
out=$WORK/restores/default/first

muletto restore start accounting@latest --folder first -o json > "$WORK/job.json"
[ "$(json .restore.state < "$WORK/job.json")" = succeeded ] || fail "$(cat "$WORK/job.json")"
cmp "$WORK/truth.raw" "$out/vda.img"
[ -s "$out/accounting.xml" ] || fail "no definition"
id=$(json .restore.id < "$WORK/job.json")
muletto restore list | has accounting || fail "not listed"
muletto restore show "$id" > "$WORK/show.txt"
has "read back" "$WORK/show.txt" || fail "no outcome: $(cat "$WORK/show.txt")"
expect_failure 4 "--overwrite 'accounting'" muletto restore start accounting@latest --folder first
# What differs.
printf changed | dd of="$out/vda.img" bs=1 seek=5000000 conv=notrunc status=none
muletto restore survey accounting@latest --folder first > "$WORK/survey.txt"
has "vda: 64.0 KiB of" "$WORK/survey.txt" || fail "survey: $(cat "$WORK/survey.txt")"
! cmp -s "$WORK/truth.raw" "$out/vda.img" || fail "a survey wrote"
muletto restore start accounting@latest --folder first --in-place --overwrite accounting -o json > "$WORK/job.json"
[ "$(json '.restore.figures.disks[0].written' < "$WORK/job.json")" = 65536 ] || fail "$(cat "$WORK/job.json")"
cmp "$WORK/truth.raw" "$out/vda.img"
muletto restore start accounting@latest --folder other --format qcow2 --disk vda > /dev/null
qemu-img compare -q "$WORK/truth.raw" "$WORK/restores/default/other/vda.qcow2" || fail "qcow2 differs"
# Cancelled: no half file.
muletto restore start accounting@latest --folder slow --limit 1M --no-wait -o json > "$WORK/job.json"
slow=$(json .job.id < "$WORK/job.json")
begun() { compgen -G "$WORK/restores/default/slow/.vda*.part" > /dev/null; }
wait_until 30 "it has begun" begun
muletto job cancel "$slow" > /dev/null
cancelled() { [ "$(muletto restore show "$slow" -o json | json .restore.state)" = cancelled ]; }
wait_until 30 "it is cancelled" cancelled
[ -z "$(ls -A "$WORK/restores/default/slow" | grep -v -e xml -e nvram)" ] || fail "left: $(ls -A "$WORK/restores/default/slow")"
# Names that would lead elsewhere.
for folder in .. ../x a/b .hidden ''; do
  expect_failure 2 "folder" muletto restore start accounting@latest --folder "$folder"
done

# ---- as a stream
url=http://muletto/api/v1/points/$point/disks/vda
get() {
  curl -sS --fail-with-body --unix-socket "$MULETTO_SOCKET" "$@"
}
get "$url/raw" | cmp - "$WORK/truth.raw"
size=$(stat -c %s "$WORK/truth.raw")
for range in 0-0 511-70000 65536-131071 $((size - 10))- -777; do
  curl -sS --unix-socket "$MULETTO_SOCKET" -r "$range" -D "$WORK/head" "$url/raw" > "$WORK/part"
  has "^HTTP/1.1 206" "$WORK/head" || fail "$range: $(cat "$WORK/head")"
  case $range in
    -*) tail -c "${range#-}" "$WORK/truth.raw" ;;
    *-) tail -c +$((${range%-} + 1)) "$WORK/truth.raw" ;;
    *) tail -c +$((${range%-*} + 1)) "$WORK/truth.raw" | head -c $((${range#*-} - ${range%-*} + 1)) 2> /dev/null || true ;;
  esac > "$WORK/wanted"
  cmp "$WORK/wanted" "$WORK/part"
done
[ "$(curl -s --unix-socket "$MULETTO_SOCKET" -r "$size-" -o /dev/null -w '%{http_code}' "$url/raw")" = 416 ] \
  || fail "a range outside is answered"
[ "$(get "$url/checksum?offset=512&length=100000" | json .sha256)" \
  = "$(dd if="$WORK/truth.raw" bs=512 skip=1 status=none | head -c 100000 2> /dev/null | sha256sum | cut -d' ' -f1)" ] \
  || fail "wrong checksum"
muletto restore download accounting@latest --disk vda --to "$WORK/down.raw" -o json > "$WORK/down.json"
cmp "$WORK/truth.raw" "$WORK/down.raw"
[ "$(json .fetched < "$WORK/down.json")" -lt "$size" ] || fail "zeros travelled"
expect_failure 4 "exists" muletto restore download accounting@latest --disk vda --to "$WORK/down.raw"
# What an interrupted one left is kept if it is right, and replaced if not.
mv "$WORK/down.raw" "$WORK/again.raw.part"
muletto restore download accounting@latest --disk vda --to "$WORK/again.raw" -o json > "$WORK/down.json"
[ "$(json .fetched < "$WORK/down.json")" = 0 ] || fail "it was fetched again: $(cat "$WORK/down.json")"
mv "$WORK/again.raw" "$WORK/hurt.raw.part"
printf hurt | dd of="$WORK/hurt.raw.part" bs=1 seek=3000000 conv=notrunc status=none
muletto restore download accounting@latest --disk vda --to "$WORK/hurt.raw" > /dev/null
cmp "$WORK/truth.raw" "$WORK/hurt.raw"
stop_background mulettod

# ---- the day of the disaster: a disk with nothing but the store, the page, and a new appliance
truncate -s 2G "$WORK/store-disk"
mkfs.ext4 -q -L backup "$WORK/store-disk"
mkdir "$WORK/filling"
mount -o loop "$WORK/store-disk" "$WORK/filling"
on_exit umount "$WORK/filling"
mkdir -p "$WORK/filling/muletto/stores"
cp -a "$STORE" "$WORK/filling/muletto/stores/default"
umount "$WORK/filling"
truncate -s 4G "$WORK/spare-disk"
disk=$(losetup --find --show "$WORK/store-disk")
on_exit losetup --detach "$disk"
spare=$(losetup --find --show "$WORK/spare-disk")
on_exit losetup --detach "$spare"
on_exit umount /run/muletto-rescue
on_exit remove_guest accounting

start_appliance --name rescue
awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$SOURCE/docs/disaster-day.md" > "$WORK/page.sh"
[ "$(grep -c . "$WORK/page.sh")" -gt 20 ] || fail "the page has no commands"
# The four names at its beginning are this machine's.
sed -i -e "s|^DISK=.*|DISK=$disk|" -e "s|^MACHINE=.*|MACHINE=accounting|" -e "s|^TARGET=.*|TARGET=$WORK/rescued|" \
  -e "s|^SPARE=.*|SPARE=$spare|" "$WORK/page.sh"
bash -euo pipefail -x "$WORK/page.sh" > "$WORK/page.log" 2>&1 || fail "a command of docs/disaster-day.md fails"
guest_agent_ready accounting 300
cmp -n "$size" "$WORK/truth.raw" "$spare"
