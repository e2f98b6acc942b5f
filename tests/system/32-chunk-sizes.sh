#!/usr/bin/env bash
# timeout: 300
# A store's chunk size is a field of its format: with the smallest, another and the largest one, a store is written,
# exported, read, checked and restored from, and NBD clients are told the size.
. "$(dirname "$0")/lib.sh"

require_commands qemu-img qemu-io nbdinfo nbdcopy nbdkit jq cmp
require_programs muletto muletto-agent muletto-restore nbdkit-muletto-plugin.so

# No multiple of the larger chunks: the last one is filled up.
size=$((20 * 1048576 + 3 * 512))
head -c 5000000 /dev/urandom > "$WORK/disk.img"
truncate -s "$size" "$WORK/disk.img"
dd of="$WORK/disk.img" bs=64K seek=200 conv=notrunc status=none <<< "$(printf 'compressible %.0s' {1..100000})"
cp "$WORK/disk.img" "$WORK/changed.img"
head -c 3000 /dev/urandom | dd of="$WORK/changed.img" bs=512 seek=30001 conv=notrunc status=none

expect_failure 2 "chunk size" muletto store init "$WORK/none" --chunk-size 2K
expect_failure 2 "chunk size" muletto store init "$WORK/none" --chunk-size 2M
expect_failure 2 "chunk size" muletto store init "$WORK/none" --chunk-size 5000

for chunk in 4096 16384 1048576; do
  store=$WORK/store-$chunk
  muletto store init "$store" --chunk-size "$chunk"
  muletto store import "$store" --machine files --disk "vda=$WORK/disk.img"
  muletto-agent sync files --store "$store" --image "$WORK/changed.img" -o json > "$WORK/sync.json"
  stored=$(jq .bytes_stored "$WORK/sync.json")
  [ "$stored" -lt $((2 * chunk + 20000)) ] || fail "a change of 3000 bytes stored $stored with chunks of $chunk"

  muletto store serve "$store" files@latest --socket "$WORK/nbd-$chunk" > "$WORK/serve.log" 2>&1 &
  serving=$!
  wait_until 20 "the export with chunks of $chunk is there" nbdinfo --size "nbd+unix:///vda?socket=$WORK/nbd-$chunk"
  uri="nbd+unix:///vda?socket=$WORK/nbd-$chunk"
  preferred=$(nbdinfo --json "$uri" | jq '.exports[0].block_size_preferred // .exports[0]."block-size"."preferred"')
  [ "$preferred" = "$chunk" ] || fail "the export prefers blocks of $preferred where chunks have $chunk"
  nbdcopy "$uri" "$WORK/copy.img"
  cmp -n "$size" "$WORK/copy.img" "$WORK/changed.img"
  # Small pieces across the borders of chunks.
  dd if="$WORK/changed.img" of="$WORK/piece" bs=1 skip=$((3 * chunk - 700)) count=1400 status=none
  { nbdcopy "$uri" - || true; } |
    dd of="$WORK/piece-read" iflag=fullblock,skip_bytes,count_bytes skip=$((3 * chunk - 700)) count=1400 status=none
  cmp "$WORK/piece" "$WORK/piece-read"
  kill -TERM "$serving"
  wait "$serving" || true

  muletto store check "$store" --deep
  muletto-restore disk --store "$store" files@latest --to "$WORK/out-$chunk.raw"
  cmp "$WORK/out-$chunk.raw" "$WORK/changed.img"
  muletto-restore disk --store "$store" files@latest --to "$WORK/out-$chunk.qcow2" --format qcow2
  qemu-img compare -q -f qcow2 -F raw "$WORK/out-$chunk.qcow2" "$WORK/changed.img" || fail "qcow2 differs"
  oldest=$(muletto store points "$store" -o json | jq -r '[.. | objects | select(.id? and .time?)][0].id')
  muletto store delete "$store" "$oldest"
  muletto store compact "$store"
  muletto store rebuild "$store"
  muletto store check "$store" --deep
  rm -rf "$store" "$WORK/out-$chunk".*
done
